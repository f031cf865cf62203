/**
 * Every instrument moves: what it counts or tells is brought about on a real tracker, and seen on `/metrics`. The last
 * test goes through the table of the instruments: one that was never seen with a value other than 0 fails it, and so does
 * a value of a label.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import {
  READ_HISTOGRAMS,
  READ_INSTRUMENTS,
  RECORDED_COUNTERS,
  RECORDED_HISTOGRAMS,
} from '../../tracker/telemetry/instruments.ts';
import { needs } from '../support/parts.ts';
import { showFullStore, showHoldings, showLimits } from './instrument-scenarios.ts';
import { showDatabase, showReloads, showSnapshots } from './instrument-troubles.ts';
import { MET_BY_CLIENTS } from './outcome-clients.ts';
import { SeenSeries } from './seen-series.ts';

/** Instruments, or values of their labels, that other tests bring about, by the files of those, which name them. */
const SHOWN_BY: Readonly<Record<string, string>> = {
  torrust_tracker_udp_kernel_drops_total: 'kernel-drops.test.ts',
  torrust_tracker_network_thread_gc_duration_seconds: 'turnover.test.ts',
  'torrust_tracker_requests_beyond_limits_total limit=per_ip': 'outcome-clients.ts',
  'torrust_tracker_requests_beyond_limits_total limit=per_network': 'outcome-clients.ts',
  torrust_tracker_spans_total: 'tracing.test.ts',
  torrust_tracker_spans_waiting: 'tracing.test.ts',
  torrust_tracker_spans_waiting_limit: 'tracing.test.ts',
};
/** What no scrape can show, and why. */
const NEVER: Readonly<Record<string, string>> = {
  'torrust_tracker_database_calls_total outcome=unopenable': 'a tracker without its database does not start',
  'torrust_tracker_database_calls_total outcome=closed': 'the database is closed when nobody calls any more',
};

const SCENARIOS: Readonly<Record<string, (context: TestContext, seen: SeenSeries) => Promise<void>>> = {
  'what a tracker is and holds': showHoldings,
  'what is beyond its limits': showLimits,
  'what a full store gives up': showFullStore,
  'how its database fares': showDatabase,
  'what becomes of its snapshots': showSnapshots,
  'how reloads end': showReloads,
};

describe('The metrics tell', needs('ipv6'), () => {
  const seen = new SeenSeries();
  for (const [title, show] of Object.entries(SCENARIOS)) test(title, (context) => show(context, seen));

  test('something by each instrument and each value of its labels', () => {
    const instruments = [
      ...READ_INSTRUMENTS,
      ...READ_HISTOGRAMS,
      ...Object.values(RECORDED_COUNTERS),
      ...Object.values(RECORDED_HISTOGRAMS),
    ].filter(({ name }) => !MET_BY_CLIENTS.has(name));
    const missing = instruments.flatMap((facts) => seen.missing(facts)).filter((each) => !isShown(each));
    assert.deepEqual(missing.toSorted(), Object.keys(NEVER).toSorted());
  });
});

/** Whether another test shows an instrument or a value of a label: its file has the words. */
function isShown(series: string): boolean {
  const [name] = series.split(' ');
  const file = SHOWN_BY[series] ?? SHOWN_BY[name];
  if (file === undefined) return false;
  const text = readFileSync(join(import.meta.dirname, file), 'utf8');
  const [label = ''] = /(?<==).*/.exec(series) ?? [];
  return text.includes(name.replace('torrust_tracker_', '')) && text.includes(label);
}
