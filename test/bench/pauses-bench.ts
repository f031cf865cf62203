/**
 * `bench pauses`: what clients notice of the jobs that go through a large store. A tracker as a process, with a store
 * restored from a snapshot, answers UDP at half of what it could, while it is scraped, lists torrents for the REST API,
 * drops expired peers, writes a snapshot; before each job, the same without it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { validateConfig } from '../../tracker/config/validation.ts';
import { Policy } from '../../tracker/policy.ts';
import { startSnapshotJob } from '../../tracker/run/snapshot-thread.ts';
import { FIRST_SECOND, Store } from '../../tracker/swarm/store.ts';
import { fillStore, NEWER_SECONDS, OLDER_SECONDS } from './filled-store.ts';
import type { LatencyMicros } from './latency-histogram.ts';
import { runLoad } from './load-process.ts';
import { PROFILES } from './population.ts';
import { readResidentBytes } from './process-usage.ts';
import { formatCount, formatSpread, formatTable, saveFigures, spreadOf } from './report.ts';
import { type BenchServer, freePort, type RunningServer, SERVERS, startServer } from './servers.ts';
import type { UdpLoadOptions, UdpLoadResult } from './udp-load.ts';

export interface PausesBenchOptions {
  readonly torrents: number;
  readonly peers: number;
  /** Times that each job is measured. */
  readonly rounds: number;
  /** Seconds of each measurement. */
  readonly seconds: number;
  readonly workers: number;
  readonly serverCpus: string;
  readonly clientCpu: string;
  /** Where the snapshot is written, 60 bytes a peer, and removed. */
  readonly folder: string;
  /** Where the figures go. */
  readonly out: string;
  /** The jobs that are measured, of `PAUSE_JOBS`. */
  readonly jobs: readonly string[];
}

/** Room for the store; only what it uses is taken from the machine. */
const STORE_BYTES_PER_PEER = 256;
/** The peers of a benchmark were heard long ago, and stay. */
const TIMEOUT_SECONDS = 2 ** 31 - 2;
const RESTORE_DEADLINE_MILLIS = 120_000;
const LOOK_MILLIS = 50;
const JOB_PAUSE_MILLIS = 1000;
const WARM_UP_SECONDS = 2;
const TOKEN = 'bench';
const PROFILE = PROFILES['2'];

/** A tracker with a large store. */
interface Tracker {
  readonly running: RunningServer;
  readonly metricsUrl: string;
  readonly apiUrl: string;
  /** Lets it do jobs by itself, from now on. */
  configure(own: OwnJobs): Promise<void>;
}

/** What a tracker does by itself. */
interface OwnJobs {
  /** Seconds from one round of expiry and from one snapshot to the next; 0 and a day: none while it is measured. */
  readonly cleanupSeconds: number;
  readonly snapshotSeconds: number;
  /** Seconds after which a silent peer is dropped. */
  readonly timeoutSeconds: number;
}

interface Job {
  /** Its name on the command line, and in the table. */
  readonly key: string;
  readonly name: string;
  readonly own?: Partial<OwnJobs>;
  /** Whether it leaves another store behind, and so can be measured but once, in the end. */
  readonly isLast?: boolean;
  /** What is asked of it, again and again, with a pause of a second. */
  readonly ask?: (tracker: Tracker) => Promise<unknown>;
}

const NO_JOBS: OwnJobs = { cleanupSeconds: 0, snapshotSeconds: 86_400, timeoutSeconds: TIMEOUT_SECONDS };
/** Between the ages of the older and the newer half of the peers, for as long as the benchmark takes. */
const HALF_TIMEOUT_SECONDS = FIRST_SECOND - (OLDER_SECONDS + NEWER_SECONDS) / 2;

const JOBS: readonly Job[] = [
  {
    key: 'scrape',
    name: 'a scrape of the metrics each second',
    ask: ({ metricsUrl }) => read(metricsUrl),
  },
  {
    key: 'listing',
    name: 'a page of 1,000 torrents each second',
    ask: ({ apiUrl }) => read(`${apiUrl}/torrents?offset=500000&limit=1000&token=${TOKEN}`),
  },
  { key: 'expiry', name: 'rounds of expiry that find nobody', own: { cleanupSeconds: 1 } },
  { key: 'snapshot', name: 'snapshots, one after the other', own: { snapshotSeconds: 1 } },
  {
    key: 'drop',
    name: 'expiry of half of the peers',
    own: { cleanupSeconds: 1, timeoutSeconds: HALF_TIMEOUT_SECONDS },
    isLast: true,
  },
];

/** The names of all jobs. */
export const PAUSE_JOBS: readonly string[] = JOBS.map(({ key }) => key);

interface Measured {
  readonly job: string;
  readonly askMillis: readonly number[];
  readonly lost: number;
  readonly quietMicros: LatencyMicros;
  readonly latencyMicros: LatencyMicros;
}

/** Measures, prints and keeps the figures. */
export async function benchPauses(options: PausesBenchOptions): Promise<void> {
  const folder = mkdtempSync(join(options.folder, 'pauses-bench-'));
  try {
    const path = join(folder, 'swarms');
    await writeSnapshot(options, path);
    const tracker = await startTracker(options, path);
    try {
      await measureJobs(tracker, options);
    } finally {
      await tracker.running.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureJobs(tracker: Tracker, options: PausesBenchOptions): Promise<void> {
  const { running } = tracker;
  const full = await load(running, options, null);
  const ratePerSecond = full.replies / full.seconds / 2;
  console.log(
    `${formatCount(readResidentBytes(running.pid) / 1e6)} MB; half load: ${formatCount(ratePerSecond)} requests a second`,
  );
  const measured: Measured[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const isLastRound = round === options.rounds - 1;
    const jobs = JOBS.filter(({ isLast = false }) => isLastRound || !isLast);
    for (const job of jobs.filter(({ key }) => options.jobs.includes(key))) {
      await tracker.configure(NO_JOBS);
      const quiet = await load(running, options, ratePerSecond);
      await tracker.configure({ ...NO_JOBS, ...job.own });
      const busy = load(running, options, ratePerSecond);
      const askMillis = await askUntil(busy, () => job.ask?.(tracker));
      const { latencyMicros, lost } = await busy;
      measured.push({
        job: job.name,
        askMillis,
        lost,
        quietMicros: latencyOf(quiet.latencyMicros),
        latencyMicros: latencyOf(latencyMicros),
      });
    }
  }
  printTable(measured);
  const { torrents, peers, rounds, seconds, workers, out } = options;
  const figures = { options: { torrents, peers, rounds, seconds, workers }, ratePerSecond, measured };
  console.log(`figures: ${saveFigures(out, 'pauses', figures)}`);
}

function printTable(measured: readonly Measured[]): void {
  const head = [
    'while the tracker does',
    'ms each',
    'p50 us',
    'p99 us',
    'p99.9 us',
    'p99 without',
    'p99 against without',
    'lost',
  ];
  const rows = JOBS.filter(({ name }) => measured.some(({ job }) => job === name)).map(({ name }) => {
    const all = measured.filter(({ job }) => job === name);
    const spread = (figure: (one: Measured) => number, format = formatCount) =>
      formatSpread(spreadOf(all.map(figure)), format);
    const millis = all.flatMap(({ askMillis }) => askMillis);
    return [
      name,
      millis.length === 0 ? '-' : formatSpread(spreadOf(millis), (figure) => figure.toFixed(1)),
      spread(({ latencyMicros }) => latencyMicros.p50),
      spread(({ latencyMicros }) => latencyMicros.p99),
      spread(({ latencyMicros }) => latencyMicros.p999),
      spread(({ quietMicros }) => quietMicros.p99),
      spread(
        ({ latencyMicros, quietMicros }) => latencyMicros.p99 / Math.max(1, quietMicros.p99),
        (ratio) => ratio.toFixed(2),
      ),
      formatCount(all.reduce((sum, { lost }) => sum + lost, 0)),
    ];
  });
  console.log(`\nUDP at half load; minimum / median / maximum\n${formatTable(head, rows)}`);
}

/** Asks with pauses until the load is over. Returns how long each answer took. */
async function askUntil(busy: Promise<unknown>, ask: () => Promise<unknown> | undefined): Promise<number[]> {
  let isOver = false;
  const end = busy.finally(() => (isOver = true));
  const millis: number[] = [];
  await sleep(1000 * WARM_UP_SECONDS);
  while (!isOver) {
    const startMillis = performance.now();
    const answer = ask();
    if (answer === undefined) break;
    await answer;
    millis.push(performance.now() - startMillis);
    await sleep(JOB_PAUSE_MILLIS);
  }
  await end;
  return millis;
}

function load(
  { port, pid }: RunningServer,
  { seconds, clientCpu }: PausesBenchOptions,
  ratePerSecond: number | null,
): Promise<UdpLoadResult> {
  const warmUpSeconds = WARM_UP_SECONDS;
  const options: UdpLoadOptions = {
    profile: PROFILE,
    port,
    pid,
    warmUpSeconds,
    seconds,
    ratePerSecond,
    seed: 1,
  };
  return runLoad<UdpLoadResult>('udp-load-process.ts', clientCpu, options);
}

function latencyOf(latencyMicros: LatencyMicros | null): LatencyMicros {
  assert(latencyMicros !== null, 'a load with a rate takes latencies');
  return latencyMicros;
}

async function writeSnapshot({ torrents, peers }: PausesBenchOptions, path: string): Promise<void> {
  const store = Store.create(peers * STORE_BYTES_PER_PEER);
  fillStore(store, torrents, peers, (count) => console.log(`  ${formatCount(count)} peers`));
  const policy = Policy.create(
    validateConfig(
      {
        metadata: { schema_version: '3.0.0' },
        logging: { trace_filter: 'info' },
        core: { listed: false, private: false, tracker_policy: { max_peer_timeout: TIMEOUT_SECONDS } },
      },
      () => 'the benchmark',
    ),
  );
  const memories = { store: store.memory, policy: policy.buffer };
  const job = startSnapshotJob({ kind: 'write', path, isPaced: false }, memories, ({ kind }) =>
    assert.fail(kind),
  );
  const { kind } = await job.outcome;
  assert(kind === 'written', `the snapshot is ${kind}`);
}

/** Starts a tracker with the snapshot, and waits until all of it is there. */
async function startTracker(options: PausesBenchOptions, path: string): Promise<Tracker> {
  const { workers, serverCpus, torrents, peers } = options;
  const metricsPort = await freePort();
  const apiPort = await freePort();
  let file = '';
  const write = ({ cleanupSeconds, snapshotSeconds, timeoutSeconds }: OwnJobs) => {
    const text = readFileSync(file, 'utf8')
      .replace(/^inactive_peer_cleanup_interval = .*$/m, `inactive_peer_cleanup_interval = ${cleanupSeconds}`)
      .replace(/^max_peer_timeout = .*$/m, `max_peer_timeout = ${timeoutSeconds}`)
      .replace(/^interval = .*$/m, `interval = ${snapshotSeconds}`);
    writeFileSync(file, text);
  };
  const tracker = SERVERS.find(({ name }) => name === 'tracker');
  assert(tracker !== undefined, 'our tracker is among the servers');
  const server: BenchServer = {
    ...tracker,
    invocation: (context) => {
      const invocation = tracker.invocation(context);
      file = join(context.folder, 'tracker.toml');
      const text = readFileSync(file, 'utf8')
        .replace('[core]\n', `[core]\ninactive_peer_cleanup_interval = ${NO_JOBS.cleanupSeconds}\n`)
        .replace(/(\[metrics\]\nbind_address = )"[^"]*"/, `$1"127.0.0.1:${metricsPort}"`);
      const more = [
        `[core.tracker_policy]\nmax_peer_timeout = ${TIMEOUT_SECONDS}`,
        `[http_api]\nbind_address = "127.0.0.1:${apiPort}"\naccess_tokens = { bench = "${TOKEN}" }`,
        `[swarm]\nmemory = "${Math.ceil((peers * STORE_BYTES_PER_PEER) / 2 ** 20)}MiB"`,
        `[swarm.snapshot]\npath = ${JSON.stringify(path)}\ninterval = ${NO_JOBS.snapshotSeconds}`,
      ];
      writeFileSync(file, [text, ...more].join('\n\n'));
      return invocation;
    },
  };
  const running = await startServer(server, { protocol: 'udp', torrents, workers, cpus: serverCpus });
  const metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`;
  const apiUrl = `http://127.0.0.1:${apiPort}/api/v1`;
  const reloads = () => readMetric(metricsUrl, 'torrust_tracker_config_reloads_total');
  const startMillis = performance.now();
  try {
    await until(
      async () => (await readMetric(metricsUrl, 'torrust_tracker_snapshot_restored_peers')) >= peers,
    );
  } catch (error) {
    await running.stop();
    throw error;
  }
  console.log(
    `answers ${formatCount(running.readyMillis)} ms after its start; ${formatCount(peers)} peers ` +
      `restored ${((performance.now() - startMillis) / 1000).toFixed(1)} s later`,
  );
  return {
    running,
    metricsUrl,
    apiUrl,
    configure: async (own) => {
      const before = await reloads();
      write(own);
      process.kill(running.pid, 'SIGHUP');
      await until(async () => (await reloads()) > before);
    },
  };
}

async function until(isReached: () => Promise<boolean>): Promise<void> {
  const endMillis = performance.now() + RESTORE_DEADLINE_MILLIS;
  while (!(await isReached())) {
    assert(performance.now() < endMillis, 'the tracker does not get there');
    await sleep(LOOK_MILLIS);
  }
}

/** The sum of a metric's series. */
async function readMetric(url: string, name: string): Promise<number> {
  const lines = (await read(url)).split('\n').filter((line) => /^\w+/.exec(line)?.[0] === name);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

async function read(url: string): Promise<string> {
  const response = await fetch(url);
  assert.equal(response.status, 200, url);
  return response.text();
}
