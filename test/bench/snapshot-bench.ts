/**
 * `bench snapshot`: how long a large store takes to be written to a snapshot, as between times and as at a stop, and to
 * be restored from it, and how long announces wait meanwhile. In one process, by the threads of the tracker, without a
 * network.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { validateConfig } from '../../tracker/config/validation.ts';
import { Policy } from '../../tracker/policy.ts';
import {
  type SnapshotJob,
  type SnapshotOutcome,
  startSnapshotJob,
} from '../../tracker/run/snapshot-thread.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { fillStore } from './filled-store.ts';
import type { LatencyMicros } from './latency-histogram.ts';
import { formatCount, formatTable, saveFigures } from './report.ts';
import type { StoreLoadSetup } from './store-load-worker.ts';

export interface SnapshotBenchOptions {
  readonly torrents: number;
  readonly peers: number;
  /** Announces per second meanwhile. */
  readonly ratePerSecond: number;
  /** Where the snapshot is written, and removed. */
  readonly folder: string;
  /** Where the figures go. */
  readonly out: string;
}

/** Room for the store; only what it uses is taken from the machine. */
const STORE_BYTES_PER_PEER = 256;
const QUIET_MILLIS = 3000;
/** The peers of a benchmark were heard long ago, and stay. */
const TIMEOUT_SECONDS = 2 ** 31 - 2;

interface Measured {
  readonly name: string;
  readonly seconds: number;
  readonly latencyMicros: LatencyMicros;
}

/** Measures, prints and keeps the figures. */
export async function benchSnapshot(options: SnapshotBenchOptions): Promise<void> {
  const { torrents, peers, ratePerSecond, out } = options;
  const folder = mkdtempSync(join(options.folder, 'snapshot-bench-'));
  try {
    const path = join(folder, 'swarms');
    const store = Store.create(peers * STORE_BYTES_PER_PEER);
    fillStore(store, torrents, peers, (count) => console.log(`  ${formatCount(count)} peers`));
    const load = await Load.start(store, options);
    const quiet = await load.measure('nothing', () => sleep(QUIET_MILLIS));
    const paced = await load.measure('writing, with pauses', () =>
      run(store, { kind: 'write', path, isPaced: true }),
    );
    await load.stop();
    const whole = await run(store, { kind: 'write', path, isPaced: false });
    assert(whole.kind === 'written', `the snapshot is ${whole.kind}`);

    const other = Store.create(peers * STORE_BYTES_PER_PEER);
    const otherLoad = await Load.start(other, options);
    let restored: SnapshotOutcome | null = null;
    const restoring = await otherLoad.measure('restoring', async () => {
      restored = await run(other, { kind: 'restore', path });
      return restored;
    });
    await otherLoad.stop();
    report(options, whole, restored, [quiet, paced, restoring]);
    const measured = { written: whole, restored, pauses: [quiet, paced, restoring] };
    const figures = { options: { torrents, peers, ratePerSecond }, ...measured };
    console.log(`figures: ${saveFigures(out, 'snapshot', figures)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report(
  { ratePerSecond }: SnapshotBenchOptions,
  written: SnapshotOutcome & { kind: 'written' },
  restored: SnapshotOutcome | null,
  pauses: readonly Measured[],
): void {
  assert(restored?.kind === 'restored', `the snapshot is ${restored?.kind}`);
  const { kept, present, expired, unstored } = restored.counts;
  console.log(
    `\nwritten as at a stop: ${formatCount(written.peers)} peers, ${formatCount(written.bytes)} bytes ` +
      `(${(written.bytes / written.peers).toFixed(1)} a peer) in ${written.seconds.toFixed(2)} s\n` +
      `restored: ${formatCount(kept)} kept, ${formatCount(present)} there already, ${formatCount(expired)} expired, ` +
      `${formatCount(unstored)} without room in ${restored.seconds.toFixed(2)} s`,
  );
  const head = [
    'while another thread does',
    's',
    'announces',
    'p50 us',
    'p99 us',
    'p99.9 us',
    'max us',
    'p99 against nothing',
  ];
  const quiet = pauses[0].latencyMicros.p99;
  const rows = pauses.map(({ name, seconds, latencyMicros: { p50, p99, p999, max } }) => [
    name,
    seconds.toFixed(2),
    formatCount(seconds * ratePerSecond),
    ...[p50, p99, p999, max].map(formatCount),
    (p99 / Math.max(1, quiet)).toFixed(2),
  ]);
  console.log(`\nAnnounces at ${formatCount(ratePerSecond)} a second\n${formatTable(head, rows)}`);
}

/** A thread that announces to a store, and the latencies that it saw. */
class Load {
  readonly #worker: Worker;
  readonly #control: Int32Array;

  private constructor(worker: Worker, control: Int32Array) {
    this.#worker = worker;
    this.#control = control;
  }

  /** Starts it, and waits until it is warm. */
  static async start(store: Store, { torrents, peers, ratePerSecond }: SnapshotBenchOptions): Promise<Load> {
    const control = new Int32Array(new SharedArrayBuffer(8));
    control[0] = 1;
    const setup: StoreLoadSetup = { memory: store.memory, torrents, peers, ratePerSecond, control };
    const worker = new Worker(new URL('./store-load-worker.ts', import.meta.url), { workerData: setup });
    await once(worker, 'online');
    await sleep(QUIET_MILLIS);
    return new Load(worker, control);
  }

  async measure(name: string, work: () => Promise<unknown>): Promise<Measured> {
    await this.#nextLatencies();
    const startMillis = performance.now();
    await work();
    const seconds = (performance.now() - startMillis) / 1000;
    return { name, seconds, latencyMicros: await this.#nextLatencies() };
  }

  async stop(): Promise<void> {
    const ended = once(this.#worker, 'exit');
    Atomics.store(this.#control, 0, 0);
    await ended;
  }

  /** The latencies since the last call. */
  async #nextLatencies(): Promise<LatencyMicros> {
    const message = once(this.#worker, 'message');
    Atomics.add(this.#control, 1, 1);
    // The worker posts nothing else.
    return (await message)[0] as LatencyMicros;
  }
}

async function run(store: Store, job: SnapshotJob): Promise<SnapshotOutcome> {
  const config = {
    metadata: { schema_version: '3.0.0' },
    logging: { trace_filter: 'info' },
    core: { listed: false, private: false, tracker_policy: { max_peer_timeout: TIMEOUT_SECONDS } },
  };
  const policy = Policy.create(validateConfig(config, () => 'the benchmark'));
  const memories = { store: store.memory, policy: policy.buffer };
  return startSnapshotJob(job, memories, ({ kind }) => assert.fail(kind)).outcome;
}
