/** A thing that files say and that is taken over whenever they change: tokens, certificates, keys, a login. */
import { isDeepStrictEqual } from 'node:util';
import type { TrackerConfig } from '../config/schema.ts';

export interface LiveInputOptions<Value> {
  /** What it is, as the log names it: `The tokens of the REST API`. */
  readonly title: string;
  /** What is in force. */
  readonly initial: Value;
  /** Reads it. Throws `ConfigError` or `StartError` for what can't be used. */
  read(config: TrackerConfig): Value;
  /** Puts a changed one in force. */
  apply(value: Value): void;
}

export interface LiveInput {
  readonly title: string;
  /** Reads it, and changes nothing. Throws as `refresh`. */
  check(config: TrackerConfig): void;
  /**
   * Reads it, and puts it in force when it differs from what is; returns whether it did. Throws `ConfigError` or
   * `StartError`, and what is in force stays.
   */
  refresh(config: TrackerConfig): boolean;
}

export function createLiveInput<Value>(options: LiveInputOptions<Value>): LiveInput {
  let current = options.initial;
  return {
    title: options.title,
    check(config) {
      options.read(config);
    },
    refresh(config) {
      const value = options.read(config);
      if (isDeepStrictEqual(value, current)) return false;
      options.apply(value);
      current = value;
      return true;
    },
  };
}
