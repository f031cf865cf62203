/**
 * `bench memory`: the bytes that a peer takes, and how long an announce waits while another thread walks the whole store:
 * for expiry, for a listing, for a scrape of the metrics. In one process, without a network.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { listTorrents } from '../../tracker/api/torrent-list.ts';
import { Access } from '../../tracker/access.ts';
import { readMetrics, ReloadRecord } from '../../tracker/run/metrics.ts';
import { NO_SPANS } from '../../tracker/run/tracing.ts';
import { CounterRows } from '../../tracker/swarm/counters.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Metrics } from '../../tracker/telemetry/metrics.ts';
import { BENCH_RULES, fillStore, OLDER_SECONDS } from './filled-store.ts';
import type { LatencyMicros } from './latency-histogram.ts';
import { readResidentBytes } from './process-usage.ts';
import { formatCount, formatTable, saveFigures } from './report.ts';
import type { StoreLoadSetup } from './store-load-worker.ts';

export interface MemoryBenchOptions {
  readonly torrents: number;
  readonly peers: number;
  /** Announces per second while the jobs run. */
  readonly ratePerSecond: number;
  readonly folder: string;
}

/** Room for the store; only what it uses is taken from the machine. */
const STORE_BYTES_PER_PEER = 256;
const QUIET_MILLIS = 3000;
/** A slice of the tracker's housekeeping, and its pause. */
const SLICE_MILLIS = 3;
const PAUSE_MILLIS = 10;
const SCRAPE_PAUSE_MILLIS = 100;
/** A job that is over sooner is done again, so that enough announces fall into it. */
const MIN_JOB_MILLIS = 2000;

interface Job {
  readonly name: string;
  /** Resolves with the time that it took, where that is not the whole. */
  readonly work: (store: Store) => Promise<number | void>;
}

const JOBS: readonly Job[] = [
  { name: 'nothing', work: async () => sleep(QUIET_MILLIS) },
  { name: 'a scrape of the metrics, ten a second', work: scrapeMetrics },
  {
    name: 'a page of torrents for the REST API',
    work: async (store) => void (await listTorrents(store, 0, 1000)),
  },
  {
    name: 'expiry that finds nothing, in slices',
    work: (store) => walk(store.expire(0, BENCH_RULES)),
  },
  {
    name: 'expiry of half of the peers, in slices',
    work: (store) => walk(store.expire(OLDER_SECONDS, BENCH_RULES)),
  },
];

/** Measures, prints and keeps the figures. */
export async function benchMemory(options: MemoryBenchOptions): Promise<void> {
  const { torrents, peers, ratePerSecond, folder } = options;
  const store = Store.create(peers * STORE_BYTES_PER_PEER);
  const emptyBytes = readResidentBytes(process.pid);
  const startMillis = performance.now();
  fillStore(store, torrents, peers, (count) => console.log(`  ${formatCount(count)} peers`));
  const fillSeconds = (performance.now() - startMillis) / 1000;
  const totals = store.totals();
  const residentBytes = readResidentBytes(process.pid) - emptyBytes;
  const stored = totals.ipv4Peers;
  const memory = {
    torrents: totals.torrents,
    peers: stored,
    usedBytesPerPeer: totals.usedBytes / stored,
    residentBytesPerPeer: residentBytes / stored,
    announcesPerSecond: peers / fillSeconds,
  };
  console.log(
    `\n${formatCount(stored)} IPv4 peers in ${formatCount(totals.torrents)} torrents: ` +
      `${memory.residentBytesPerPeer.toFixed(1)} bytes of memory a peer (${memory.usedBytesPerPeer.toFixed(1)} in use), ` +
      `filled at ${formatCount(memory.announcesPerSecond)} announces a second`,
  );
  const pauses = await measurePauses(store, torrents, peers, ratePerSecond);
  const head = [
    'while another thread does',
    'ms',
    'p50 us',
    'p99 us',
    'p99.9 us',
    'max us',
    'p99 against nothing',
  ];
  const quiet = pauses[0].latencyMicros.p99;
  const rows = pauses.map(({ name, millis, latencyMicros: { p50, p99, p999, max } }) => [
    name,
    ...[millis, p50, p99, p999, max].map(formatCount),
    (p99 / Math.max(1, quiet)).toFixed(2),
  ]);
  console.log(`\nAnnounces at ${formatCount(ratePerSecond)} a second\n${formatTable(head, rows)}`);
  console.log(`figures: ${saveFigures(folder, 'memory', { options, memory, pauses })}`);
}

interface Pause {
  readonly name: string;
  /** The time that the job takes once. */
  readonly millis: number;
  readonly latencyMicros: LatencyMicros;
}

async function measurePauses(
  store: Store,
  torrents: number,
  peers: number,
  ratePerSecond: number,
): Promise<Pause[]> {
  const control = new Int32Array(new SharedArrayBuffer(8));
  control[0] = 1;
  const setup: StoreLoadSetup = { memory: store.memory, torrents, peers, ratePerSecond, control };
  const worker = new Worker(new URL('./store-load-worker.ts', import.meta.url), { workerData: setup });
  const pauses: Pause[] = [];
  try {
    await once(worker, 'online');
    await sleep(QUIET_MILLIS);
    await nextLatencies(worker, control);
    for (const { name, work } of JOBS) {
      const startMillis = performance.now();
      let times = 0;
      let workMillis = 0;
      do {
        const onceMillis = performance.now();
        workMillis += (await work(store)) ?? performance.now() - onceMillis;
        times++;
      } while (performance.now() - startMillis < MIN_JOB_MILLIS);
      const millis = workMillis / times;
      pauses.push({ name, millis, latencyMicros: await nextLatencies(worker, control) });
    }
  } finally {
    Atomics.store(control, 0, 0);
    await once(worker, 'exit');
  }
  return pauses;
}

/** The latencies since the last call. */
async function nextLatencies(worker: Worker, control: Int32Array): Promise<LatencyMicros> {
  const message = once(worker, 'message');
  Atomics.add(control, 1, 1);
  // The worker posts nothing else.
  return (await message)[0] as LatencyMicros;
}

const metrics = new Metrics();
const NO_SNAPSHOTS = {
  writtenAtSeconds: 0,
  peers: 0,
  bytes: 0,
  seconds: 0,
  writes: 0,
  failures: 0,
  restoredPeers: 0,
  restoredTorrents: 0,
};

/** What a scrape costs, and a pause that is no part of it. */
async function scrapeMetrics(store: Store): Promise<number> {
  const startMillis = performance.now();
  await metrics.write(
    readMetrics(
      {
        store,
        counters: CounterRows.create(2, 2),
        access: Access.create(),
        bans: { size: 0 },
        database: null,
        completedSync: null,
        inputs: { trackerCertificates: [], apiCertificate: null },
        reloads: new ReloadRecord(metrics),
        snapshots: () => NO_SNAPSHOTS,
        networkThreads: () => 2,
        isReady: () => true,
      },
      NO_SPANS,
    ),
  );
  const millis = performance.now() - startMillis;
  await sleep(SCRAPE_PAUSE_MILLIS);
  return millis;
}

/** Goes through a walk of the store as the tracker's housekeeping does it. */
async function walk(slices: Iterable<unknown>): Promise<void> {
  let sliceEnd = performance.now() + SLICE_MILLIS;
  for (const _ of slices) {
    if (performance.now() < sliceEnd) continue;
    await sleep(PAUSE_MILLIS);
    sliceEnd = performance.now() + SLICE_MILLIS;
  }
}
