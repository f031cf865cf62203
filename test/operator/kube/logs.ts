/**
 * A log that a test can read.
 */
import type { KubeLog } from '../../../operator/kube/kube-log.ts';

/** The lines that were written, by level. */
export interface ReadableLog extends KubeLog {
  readonly lines: {
    readonly level: string;
    readonly fields: Readonly<Record<string, unknown>>;
    readonly message: string;
  }[];
}

/** An empty log. */
export function createLog(): ReadableLog {
  const lines: ReadableLog['lines'] = [];
  const writer = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) => {
    lines.push({ level, fields, message });
  };
  return {
    lines,
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
  };
}
