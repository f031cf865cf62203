/** The log tells, once for each kind, that announces come from addresses that others can hardly reach. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import type { SourcePolicy } from '../tracker/gate.ts';
import { SourceWatch } from '../tracker/run/source-watch.ts';
import { Counter, CounterRows } from '../tracker/swarm/counters.ts';
import { openLog } from '../tracker/telemetry/log.ts';
import { waitFor } from './support/waiting.ts';

function watch(context: TestContext, policy: SourcePolicy) {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const log = openLog({ filter: 'info', style: 'json' }, { stream, isTerminal: false, hasColors: false });
  const rows = CounterRows.create(2);
  const sources = new SourceWatch(rows, log.logger, policy, 5);
  context.after(() => sources.stop());
  return { lines, sources, count: (name: keyof typeof Counter) => rows.row(1)[Counter[name]]++ };
}

test('says so once for each kind of address', async (context) => {
  const { lines, count } = watch(context, 'flag');
  count('announces_from_private');
  await waitFor('a line', () => lines.length === 1);
  assert.match(lines[0], /"level":"warn".*Announces come from private addresses \(RFC 1918\): /);
  count('announces_from_private');
  count('announces_from_cluster');
  await waitFor('another line', () => lines.length === 2);
  assert.match(lines[1], /the ranges of source_guard\.cluster_ranges: /);
});

test('says that they are refused where they are', async (context) => {
  const { lines, count } = watch(context, 'refuse');
  count('announces_from_unique_local');
  await waitFor('a line', () => lines.length === 1);
  assert.match(lines[0], /\(RFC 4193\) and are refused: /);
});

test('says nothing where they are accepted, until the policy changes', async (context) => {
  const { lines, sources, count } = watch(context, 'accept');
  count('announces_from_loopback');
  await sleep(50);
  assert.deepEqual(lines, []);
  sources.update('flag');
  await waitFor('a line', () => lines.length === 1);
});
