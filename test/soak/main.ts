/**
 * `make soak`: a tracker under full load for some minutes, with churn, expiry, snapshots, reloads, scrapes of its metrics
 * and listings of its torrents all the time. At the end its memory, its descriptors and its latency must be what they
 * were in the middle, and its counters must agree with those of the clients.
 *
 *     node test/soak/main.ts [--minutes 10]
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runLoad } from '../bench/load-process.ts';
import { PROFILES } from '../bench/population.ts';
import { readResidentBytes } from '../bench/process-usage.ts';
import type { UdpLoadOptions, UdpLoadResult } from '../bench/udp-load.ts';
import { startTrackerProcess, type TrackerProcess, writeConfig } from '../support/tracker-process.ts';
import { readSample, sumOf } from './metric-samples.ts';
import { keepBusy } from './nuisances.ts';
import { soakConfig, TOKEN } from './soaked-tracker.ts';

/** Full load, then a part of it with the latency measured, again and again; shorter, where the soak itself is short. */
const FULL_SECONDS = 20;
const PACED_SECONDS = 5;
const MIN_SLICES = 12;
/** Two in each of three parts. */
const MIN_SAMPLES = 6;
/** Of all requests: what a machine that does other work drops at full load. */
const MAX_LOST_SHARE = 0.01;
const PACED_PER_SECOND = 4_000;
/** Replies of a slice that were on their way at its end: the windows of the load's sockets. */
const UNDECIDED_PER_SLICE = 4 * 1024;
/** What may differ between the middle and the end. */
const MAX_GROWTH = { residentBytes: 32 * 2 ** 20, share: 0.1, descriptors: 8, latency: 3 };

/** What was seen at the end of a slice. */
interface Sample {
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly descriptors: number;
  readonly peers: number;
  readonly p99Micros: number;
  /** At full load. */
  readonly repliesPerSecond: number;
}

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
const minutes = Number(values.minutes);
assert.ok(minutes > 0, 'the minutes are a positive number');
const shrink = Math.min(1, (minutes * 60) / MIN_SLICES / (FULL_SECONDS + PACED_SECONDS));

const folder = mkdtempSync(join(tmpdir(), 'torrust-soak-'));
const cleaners: (() => void)[] = [];
try {
  await soak();
} finally {
  for (const clean of cleaners.toReversed()) clean();
  rmSync(folder, { recursive: true, force: true });
}

async function soak(): Promise<void> {
  const context = { after: (clean: () => void) => void cleaners.push(clean) };
  const tracker = await startTrackerProcess(context, soakConfig(folder, 120, shrink), { folder });
  const stop = new AbortController();
  context.after(() => stop.abort());
  const busy = keepBusy(tracker, TOKEN, stop.signal, (round) => {
    // An interval that changes each time is taken over while everything goes on.
    writeConfig(folder, soakConfig(folder, 120 + (round % 10), shrink));
    process.kill(tracker.pid, 'SIGHUP');
  });
  const samples: Sample[] = [];
  const sums = { announces: 0, scrapes: 0, lost: 0, errors: 0, slices: 0 };
  const endMillis = performance.now() + minutes * 60_000;
  for (let seed = 1; performance.now() < endMillis; seed++) {
    const full = await load(tracker, seed, FULL_SECONDS * shrink, null);
    const paced = await load(tracker, seed + 1_000_000, PACED_SECONDS * shrink, PACED_PER_SECOND);
    for (const { announces, scrapes, lost, errors, firstError } of [full, paced]) {
      assert.equal(errors, 0, firstError);
      assert.ok(announces > 0 && scrapes > 0, `${announces} announces and ${scrapes} scrapes were answered`);
      sums.announces += announces;
      sums.scrapes += scrapes;
      sums.lost += lost;
      sums.slices++;
    }
    const repliesPerSecond = full.replies / full.seconds;
    samples.push({ ...(await look(tracker)), p99Micros: paced.latencyMicros?.p99 ?? 0, repliesPerSecond });
    const { residentBytes, heapBytes, descriptors, peers, p99Micros } = samples[samples.length - 1];
    console.log(
      `${repliesPerSecond.toFixed(0)} replies a second; ${mebibytes(residentBytes)} MiB resident, ${mebibytes(heapBytes)} MiB heap, ` +
        `${descriptors} descriptors, ${peers} peers, p99 ${p99Micros.toFixed(0)} µs`,
    );
  }
  stop.abort();
  const nuisances = await busy;
  for (const [name, count] of Object.entries(nuisances)) assert.ok(count > 0, name);
  const requests = sums.announces + sums.scrapes;
  assert.ok(sums.lost <= requests * MAX_LOST_SHARE, `${sums.lost} lost, ${requests} answered`);
  await judgeCounters(tracker, sums);
  judgeSamples(samples);
  assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
  const faults = tracker.log().filter(({ level }) => level === 'error');
  assert.deepEqual(faults, []);
  console.log(
    `flat after ${minutes} minutes: ${sums.announces} announces, ${sums.scrapes} scrapes, ${sums.lost} lost; ${JSON.stringify(nuisances)}`,
  );
}

function load(
  tracker: TrackerProcess,
  seed: number,
  seconds: number,
  ratePerSecond: number | null,
): Promise<UdpLoadResult> {
  const options: UdpLoadOptions = {
    profile: PROFILES['1'],
    port: tracker.udp[0].port,
    pid: tracker.pid,
    // Every reply counts.
    warmUpSeconds: 0,
    seconds,
    ratePerSecond,
    seed,
  };
  return runLoad<UdpLoadResult>('udp-load-process.ts', '0-1023', options);
}

/** What the tracker itself shows. */
async function look(tracker: TrackerProcess): Promise<Omit<Sample, 'p99Micros' | 'repliesPerSecond'>> {
  const metrics = await readSample(tracker.metrics);
  return {
    residentBytes: readResidentBytes(tracker.pid),
    heapBytes: sumOf(metrics, 'nodejs_heap_size_used_bytes'),
    descriptors: readdirSync(`/proc/${tracker.pid}/fd`).length,
    peers: sumOf(metrics, 'torrust_tracker_peers'),
  };
}

/** The tracker's counters are those of the clients, but for what was on its way when a slice ended, or got lost. */
async function judgeCounters(
  tracker: TrackerProcess,
  sums: { announces: number; scrapes: number; lost: number; slices: number },
): Promise<void> {
  const metrics = await readSample(tracker.metrics);
  for (const kind of ['announce', 'scrape'] as const) {
    const told = sumOf(metrics, 'torrust_tracker_requests_total', { protocol: 'udp', kind, outcome: 'ok' });
    const seen = kind === 'announce' ? sums.announces : sums.scrapes;
    const undecided = sums.slices * UNDECIDED_PER_SLICE + sums.lost;
    assert.ok(
      told >= seen && told <= seen + undecided,
      `${told} requests of the kind ${kind} were counted, and ${seen} answered`,
    );
  }
}

/** The last third of a soak is as its middle third was; the first one is the warm-up. */
function judgeSamples(samples: readonly Sample[]): void {
  assert.ok(
    samples.length >= MIN_SAMPLES,
    `${samples.length} samples are too few to compare: take more minutes`,
  );
  for (const { peers, heapBytes, residentBytes, p99Micros } of samples) {
    assert.ok(
      peers > 0 && heapBytes > 0 && residentBytes > heapBytes && p99Micros > 0,
      'a figure is missing',
    );
  }
  const third = Math.floor(samples.length / 3);
  const [middle, last] = [samples.slice(third, 2 * third), samples.slice(-third)];
  const most = (part: readonly Sample[], name: keyof Sample) =>
    Math.max(...part.map((sample) => sample[name]));
  const least = (part: readonly Sample[], name: keyof Sample) =>
    Math.min(...part.map((sample) => sample[name]));
  for (const name of ['residentBytes', 'heapBytes'] as const) {
    const bound = most(middle, name) * (1 + MAX_GROWTH.share) + MAX_GROWTH.residentBytes;
    assert.ok(most(last, name) <= bound, `${name}: ${most(middle, name)}, then ${most(last, name)}`);
  }
  assert.ok(most(last, 'descriptors') <= most(middle, 'descriptors') + MAX_GROWTH.descriptors, 'descriptors');
  // Peers are those of the last seconds: more, when the machine has more time for the load than before.
  const faster = Math.max(1, most(last, 'repliesPerSecond') / most(middle, 'repliesPerSecond'));
  const peers = [most(middle, 'peers'), most(last, 'peers')];
  assert.ok(peers[1] <= peers[0] * faster * (1 + MAX_GROWTH.share), `peers: ${peers[0]}, then ${peers[1]}`);
  // The least: a machine that does other work delays everything for a while.
  const p99 = [least(middle, 'p99Micros'), least(last, 'p99Micros')];
  assert.ok(p99[1] <= p99[0] * MAX_GROWTH.latency, `p99 ${p99[0]} µs, then ${p99[1]} µs`);
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
