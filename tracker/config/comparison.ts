/**
 * What changed between the configuration in force and a new one, and what of it can be taken over while the tracker
 * runs. Each key of the schema says whether it is live; what concerns whole tables is here. Free of I/O.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { formatPath } from './errors.ts';
import { keyFacts } from './fields.ts';
import { findBrokenTranslation, type ConfigPath } from './rules.ts';
import { bare, keysOf, schemaAt } from './schema-tree.ts';
import { configShape, type TrackerConfig } from './schema.ts';

/** How a new configuration differs from the one in force. */
export interface ConfigComparison {
  /** Keys whose change is taken over, as they are printed (`udp_trackers[0].cookie_lifetime`). */
  readonly live: readonly string[];
  /** Keys, and whole tables that came or went, whose change waits for a restart. */
  readonly restart: readonly string[];
  /** The configuration in force with the live changes; its listeners keep their places. */
  readonly adopted: TrackerConfig;
}

type Reload = 'live' | 'restart';
type Report = (path: ConfigPath, reload: Reload) => void;
type Table = Readonly<Record<string, unknown>>;

/** Tables that may come and go while the tracker runs. Any other stands for a service or for a kind of connection. */
const LIVE_TABLES = ['core.private_mode'];
/** Tables whose keys only make sense together: a new password opens nothing for the old user. */
const TOGETHER = ['core.database'];

/**
 * Compares two configurations and lays the live changes of `next` over `current`. When those break a rule without the
 * changes that need a restart (a whitelist without its database), nothing is taken over, and all of them wait for it.
 */
export function compareConfigs(current: TrackerConfig, next: TrackerConfig): ConfigComparison {
  const live = new Set<string>();
  const restart = new Set<string>();
  const result = adopt(current, next, [], (path, reload) =>
    (reload === 'live' ? live : restart).add(formatPath(path)),
  );
  // Built from the values of two configurations, table by table after the schema.
  const adopted = result as TrackerConfig;
  if (restart.size > 0 && findBrokenTranslation(adopted, []).length > 0) {
    return { live: [], restart: [...live, ...restart], adopted: current };
  }
  return { live: [...live], restart: [...restart], adopted };
}

function adopt(current: unknown, next: unknown, path: ConfigPath, report: Report): unknown {
  if (isDeepStrictEqual(current, next)) return current;
  const schema = schemaAt(configShape, path);
  assert.ok(schema, 'the walk follows the schema');
  const facts = keyFacts.get(schema);
  if (facts !== undefined) {
    report(path, facts.reload);
    return facts.reload === 'live' ? next : current;
  }
  if (bare(schema) instanceof z.ZodArray) {
    return adoptList(current as readonly Table[], next as readonly Table[], path, report); // so says the schema
  }
  if (current === undefined || next === undefined) {
    const isLive = LIVE_TABLES.includes(formatPath(path));
    report(path, isLive ? 'live' : 'restart');
    return isLive ? next : current;
  }
  return adoptTable(current as Table, next as Table, path, report); // so says the schema
}

function adoptTable(current: Table, next: Table, path: ConfigPath, report: Report): Table {
  const changes: [ConfigPath, Reload][] = [];
  const adopted: Record<string, unknown> = {};
  for (const name of keysOf(configShape, path)) {
    const value = adopt(current[name], next[name], [...path, name], (changed, reload) =>
      changes.push([changed, reload]),
    );
    if (value !== undefined) adopted[name] = value;
  }
  const waits = TOGETHER.includes(formatPath(path)) && changes.some(([, reload]) => reload === 'restart');
  for (const [changed, reload] of changes) report(changed, waits ? 'restart' : reload);
  return waits ? current : adopted;
}

/** Listeners: an open one is known by its address, wherever it stands in the list. */
function adoptList(
  current: readonly Table[],
  next: readonly Table[],
  path: ConfigPath,
  report: Report,
): readonly Table[] {
  const partners = pairByAddress(current, next);
  const added = next.keys().filter((index) => !partners.includes(index));
  const adopted = current.map((listener, index) => {
    const partner = partners[index];
    if (partner !== undefined) return adopt(listener, next[partner], [...path, partner], report) as Table; // a table yields one
    const successor = added.next();
    // Its address changed, and the rest of it waits with that; or it is gone.
    if (successor.done === true) report([...path, index], 'restart');
    else adopt(listener, next[successor.value], [...path, successor.value], (key) => report(key, 'restart'));
    return listener;
  });
  for (const index of added) report([...path, index], 'restart');
  return adopted;
}

/** For each listener of `current`, the place in `next` of the one with its address; of several, in their order. */
function pairByAddress(current: readonly Table[], next: readonly Table[]): (number | undefined)[] {
  const free = new Set(next.keys());
  return current.map((listener) => {
    const found = free.values().find((index) => next[index]['bind_address'] === listener['bind_address']);
    if (found !== undefined) free.delete(found);
    return found;
  });
}
