/**
 * Network threads as tests use them: the real sockets on real ports, over memory that the test made and looks into.
 * Every table of this folder runs once for each way of moving packets.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Access } from '../../tracker/access.ts';
import type { SocketAddress } from '../../tracker/config/address.ts';
import type { TrackerConfig, TrackerConfigInput } from '../../tracker/config/schema.ts';
import { validateConfig } from '../../tracker/config/validation.ts';
import { ConnectionIds } from '../../tracker/connection-id.ts';
import { ConnectionKeys } from '../../tracker/connection-keys.ts';
import { Gate } from '../../tracker/gate.ts';
import { gateSettings } from '../../tracker/run/gate-settings.ts';
import { listenerSetups } from '../../tracker/run/listener-setups.ts';
import { maxThreads, NetworkThreads } from '../../tracker/run/network-threads.ts';
import { Policy } from '../../tracker/policy.ts';
import { type CounterName, CounterRows, COUNTERS, countersOf } from '../../tracker/swarm/counters.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { requestSamples } from '../../tracker/telemetry/request-samples.ts';
import { waitFor } from '../support/waiting.ts';

/** A value of `network.sockets`. */
export type SocketPath = 'portable' | 'native';

/** Those that this machine can serve: native sockets are Linux's own. */
export const SOCKET_PATHS: readonly SocketPath[] =
  process.platform === 'linux' ? ['portable', 'native'] : ['portable'];

export type Counts = Partial<Record<CounterName, number>>;

export interface TrackerThreads {
  readonly udp: readonly SocketAddress[];
  readonly http: readonly SocketAddress[];
  readonly store: Store;
  readonly access: Access;
  /** Makes and judges the connection ids of this tracker, at any time that `readClock` is told. */
  readonly ids: ConnectionIds;
  /** Changes the policies, as a reload does; what is not named gets its default. */
  configure(policies: Policies): void;
  /** All counters, at this moment. */
  counts(): Record<CounterName, number>;
  /** Waits until the counters are as they should be. */
  awaitCounts(state: string, isThere: (counts: Record<CounterName, number>) => boolean): Promise<void>;
  /** Runs `work`, and waits until exactly these counters went up by exactly so much. */
  expectCounts<T>(expected: Counts, work: () => Promise<T>): Promise<T>;
  /** Sums over the swarms, to see that nothing changed. */
  swarms(): object;
  /** Takes no more, and lets what has begun end for `graceMillis`; a second by default. */
  close(graceMillis?: number): Promise<void>;
}

/** The policies of a tracker. */
export interface Policies {
  readonly core?: Partial<TrackerConfigInput['core']>;
  readonly udp_tracker_server?: TrackerConfigInput['udp_tracker_server'];
}

/** The tables of the gate. */
type GateTables = Pick<TrackerConfigInput, 'limits' | 'source_guard' | 'proxy_protocol'>;

/** What a test may say of its tracker. Without an address, a listener is on 127.0.0.1. */
export interface ThreadsConfig extends Policies, GateTables {
  readonly udp?: NonNullable<TrackerConfigInput['udp_trackers']>;
  readonly http?: NonNullable<TrackerConfigInput['http_trackers']>;
}

const DEADLINE_MILLIS = 10_000;

/**
 * Starts a tracker for the suite that is being described, with the policies of `config` at the begin of each test.
 * It is there while the tests of the suite run.
 */
export function threadsOfSuite(
  sockets: SocketPath,
  config: ThreadsConfig,
): { readonly threads: TrackerThreads } {
  let threads: TrackerThreads | undefined;
  before(async () => {
    threads = await startThreads(sockets, config);
  });
  beforeEach(() => threads?.configure(config));
  after(() => threads?.close());
  return {
    get threads() {
      assert(threads, 'the suite has begun');
      return threads;
    },
  };
}

/** Starts one thread, which the caller closes. */
export async function startThreads(
  sockets: SocketPath,
  threadsConfig: ThreadsConfig,
): Promise<TrackerThreads> {
  const config = configOf(threadsConfig, sockets);
  const store = Store.create(2 ** 24, 4);
  const access = Access.create();
  const policy = Policy.create(config);
  store.limits.configure(policy);
  const connectionKeys = ConnectionKeys.create();
  const setups = listenerSetups(config);
  const counters = CounterRows.create(maxThreads(1), setups.length);
  const memories = {
    store: store.memory,
    access: access.memory,
    policy: policy.buffer,
    counters: counters.buffer,
    connectionKeys: connectionKeys.buffer,
    gate: Gate.createMemory(),
  };
  const isNative = sockets === 'native';
  const threads = await NetworkThreads.start(1, isNative, setups, memories, gateSettings(config), (error) => {
    throw error;
  });
  const addresses = threads.listeners.map(({ address }) => address);
  return {
    udp: addresses.filter((_, index) => setups[index].kind === 'udp'),
    http: addresses.filter((_, index) => setups[index].kind === 'http'),
    store,
    access,
    ids: new ConnectionIds(connectionKeys),
    configure: (policies) => {
      policy.apply(configOf(policies, sockets));
      store.limits.configure(policy);
    },
    counts: () => counters.sums(),
    awaitCounts: (state, isThere) => settle(state, () => isThere(counters.sums())),
    async expectCounts(expected, work) {
      // A reply is counted when it was sent, which may be after it was received.
      await settle('the replies of earlier tests are counted', () => areAnswered(counters));
      const before = counters.sums();
      const result = await work();
      const went = () => difference(before, counters.sums());
      // What is not as expected after the deadline, the assertion shows.
      await settle('the counters', () => isDeepStrictEqual(went(), { ...expected })).catch(() => undefined);
      assert.deepEqual(went(), { ...expected });
      return result;
    },
    swarms: () => ({ ...store.totals(), usedBytes: 0 }),
    close: (graceMillis = 1_000) => threads.stop(graceMillis),
  };
}

/** Runs a body once for each socket path. */
export function forEachSocketPath(body: (sockets: SocketPath) => void): void {
  for (const sockets of SOCKET_PATHS) body(sockets);
}

function configOf(
  { core, udp_tracker_server = {}, udp = [], http = [], limits, source_guard, proxy_protocol }: ThreadsConfig,
  sockets: SocketPath,
): TrackerConfig {
  return validateConfig(
    {
      metadata: { schema_version: '3.0.0' },
      logging: { trace_filter: 'off' },
      core: { listed: false, private: false, database: { driver: 'sqlite3' }, ...core },
      udp_trackers: udp.map((tracker) => ({ bind_address: '127.0.0.1:0', ...tracker })),
      http_trackers: http.map((tracker) => ({ bind_address: '127.0.0.1:0', ...tracker })),
      // Many tests send bad ids from one address, which is not to be banned for them.
      udp_tracker_server: { max_connection_id_errors_per_ip: 2 ** 32 - 1, ...udp_tracker_server },
      ...(limits && { limits }),
      ...(proxy_protocol && { proxy_protocol }),
      // Nearly all tests announce from loopback.
      source_guard: source_guard ?? { exempt: ['127.0.0.0/8', '::1/128'] },
      network: { sockets, receive_buffer_bytes: 2 ** 20 },
    },
    () => 'the test',
  );
}

/** Waits like `waitFor`, with shorter pauses: what is waited for comes at once or not at all. */
async function settle(state: string, look: () => boolean): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    if (look()) return;
    await nextTurn();
  }
  await waitFor(state, look, DEADLINE_MILLIS);
}

/** Whether every request that was counted was answered; no refused one of the tests is met with silence. */
function areAnswered(counters: CounterRows): boolean {
  const tally = counters.total();
  const sums = countersOf(tally);
  const readings = { tally, counters: sums };
  const httpRequests = requestSamples(readings)
    .filter(({ labels }) => labels['protocol'] === 'http')
    .reduce((sum, { value }) => sum + value, 0);
  return (
    sums.udp4_requests === sums.udp4_responses &&
    sums.udp6_requests === sums.udp6_responses &&
    httpRequests === sums.tcp4_responses + sums.tcp6_responses
  );
}

function difference(
  earlier: Record<CounterName, number>,
  later: Record<CounterName, number>,
): Record<string, number> {
  return Object.fromEntries(
    COUNTERS.map((name) => [name, later[name] - earlier[name]] as const).filter(([, value]) => value !== 0),
  );
}
