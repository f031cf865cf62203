/**
 * Every instrument of the tracker, once. Who adds one adds it here, and what it reads to `readings.ts`; the registry
 * (`metrics.ts`), the reference page (`docs/metrics.md`) and the tests take it from here.
 *
 * Labels have few values that are known beforehand: never an address, a key, an info hash or a client's text.
 */
import { BOUNDS_MICROS, HTTP_SAMPLE_EVERY, UDP_SAMPLE_EVERY } from '../swarm/latencies.ts';
import { REFUSAL_REASONS, REQUEST_KINDS } from '../swarm/refusals.ts';
import { BATCH_SAMPLE_EVERY, THREAD_KINDS } from '../swarm/thread-load.ts';
import {
  byLabel,
  type ReadHistogram,
  type ReadInstrument,
  type RecordedCounter,
  type RecordedHistogram,
  single,
} from './instrument.ts';
import { GATE_INSTRUMENTS } from './gate-instruments.ts';
import { SNAPSHOT_INSTRUMENTS } from './snapshot-instruments.ts';
import { SPAN_INSTRUMENTS } from './span-instruments.ts';
import {
  collectionSamples,
  delaySamples,
  durationSamples,
  replySamples,
  requestSamples,
} from './request-samples.ts';

const PROTOCOLS = ['udp', 'http'];
const FAMILIES = ['ipv4', 'ipv6'];
const NETWORK_THREADS = 'the network threads, each in a row of shared memory of its own';
const STORE = 'the swarm store, in the heads of its shards';
const BAN_TABLE = 'the table of banned addresses';

/** The operations of the database, as `db/messages.ts` names them. */
const DATABASE_OPERATIONS = [
  'loadKeys',
  'addKey',
  'removeKey',
  'loadWhitelist',
  'addToWhitelist',
  'removeFromWhitelist',
  'loadCompleted',
  'addCompleted',
  'totalCompleted',
] as const;
/** Success, and the codes of a `DatabaseError`. */
const DATABASE_OUTCOMES = [
  'ok',
  'unavailable',
  'duplicate',
  'malformed',
  'refused',
  'closed',
  'unopenable',
] as const;

/** The instruments that are read at each scrape, in the order in which they are shown. */
export const READ_INSTRUMENTS: readonly ReadInstrument[] = [
  {
    name: 'torrust_tracker_build_info',
    type: 'gauge',
    unit: '1',
    help: 'Always 1; the labels tell the versions of the tracker and of Node.js',
    labels: { version: 'the version of the tracker', node_version: 'the version of Node.js' },
    source: 'the package and the process',
    read: ({ version }) => [{ labels: { version, node_version: process.version }, value: 1 }],
  },
  {
    name: 'torrust_tracker_ready',
    type: 'gauge',
    unit: '1',
    help: 'Whether the tracker is ready: 1 from the end of its start to the begin of its stop, else 0',
    source: 'the health check',
    read: ({ isReady }) => single(Number(isReady)),
  },
  {
    name: 'torrust_tracker_network_threads',
    type: 'gauge',
    unit: 'threads',
    help: 'Threads that move packets; those of HTTPS, where there is some, count apart from native ones',
    source: 'the start',
    read: ({ networkThreads }) => single(networkThreads.length),
  },
  {
    name: 'torrust_tracker_network_thread_cpu_seconds_total',
    type: 'counter',
    unit: 'seconds',
    help: 'CPU time of each network thread, ten times a second; one that uses a whole CPU can take no more',
    labels: { thread: 'the number of the thread, from 0; those of HTTPS come last' },
    source: 'the network threads, each of itself',
    read: ({ networkThreads }) =>
      networkThreads.map((value, index) => ({ labels: { thread: String(index) }, value })),
  },
  {
    name: 'torrust_tracker_requests_total',
    type: 'counter',
    unit: 'requests',
    help: 'Requests by how they ended: served (ok) or not, for being malformed, a wrong connection id (connection_id), lack of a valid key (key), the whitelist (not_listed), an address that others cannot reach (source), a proxy that tells no address (client_address), a limit (limited), a ban (banned). Of kind other is what no tracker is asked, requests whose head is broken among it. HTTPS counts as http, and the family is that of the client, also behind a proxy',
    labels: {
      protocol: PROTOCOLS,
      family: FAMILIES,
      kind: REQUEST_KINDS,
      outcome: ['ok', ...REFUSAL_REASONS],
    },
    source: `${NETWORK_THREADS}, when the answer is made`,
    read: requestSamples,
  },
  {
    name: 'torrust_tracker_replies_sent_total',
    type: 'counter',
    unit: 'replies',
    help: 'Replies that the kernel took for sending, errors included. The family is that of the connection, which may be that of a proxy',
    labels: { protocol: PROTOCOLS, family: FAMILIES },
    source: `${NETWORK_THREADS}, after the send`,
    read: replySamples,
  },
  {
    name: 'torrust_tracker_udp_datagrams_ignored_total',
    type: 'counter',
    unit: 'datagrams',
    help: 'Datagrams that were met with silence: too short for an answer or from port 0 (unanswerable), or from a banned address (banned)',
    labels: { reason: ['unanswerable', 'banned'] },
    source: NETWORK_THREADS,
    read: ({ counters }) =>
      byLabel('reason', {
        unanswerable: counters.udp_requests_discarded,
        banned: counters.udp_requests_banned,
      }),
  },
  {
    name: 'torrust_tracker_udp_kernel_drops_total',
    type: 'counter',
    unit: 'datagrams',
    help: 'Datagrams that the kernel dropped because the receive buffer was full; 0 where sockets are portable, which are not told',
    source: `${NETWORK_THREADS}, as the kernel tells them (SO_RXQ_OVFL)`,
    read: ({ counters }) => single(counters.kernel_drops),
  },
  {
    name: 'torrust_tracker_connection_id_failures_total',
    type: 'counter',
    unit: 'requests',
    help: 'UDP requests whose connection id did not verify, by what was found: an id of this tracker that is too old (expired), one given to another address (other_address), none of this tracker (forged)',
    labels: { reason: ['expired', 'other_address', 'forged'] },
    source: NETWORK_THREADS,
    read: ({ counters }) =>
      byLabel('reason', {
        expired: counters.connection_id_expired,
        other_address: counters.connection_id_other_address,
        forged: counters.connection_id_forged,
      }),
  },
  ...GATE_INSTRUMENTS,
  {
    name: 'torrust_tracker_banned_addresses',
    type: 'gauge',
    unit: 'addresses',
    help: 'Addresses and networks that are banned at this moment, by hand or for too many wrong connection ids',
    source: BAN_TABLE,
    read: ({ bannedAddresses }) => single(bannedAddresses),
  },
  {
    name: 'torrust_tracker_torrents',
    type: 'gauge',
    unit: 'torrents',
    help: 'Torrents in memory, those without peers included',
    source: STORE,
    read: ({ swarms }) => single(swarms.torrents),
  },
  {
    name: 'torrust_tracker_seeders',
    type: 'gauge',
    unit: 'peers',
    help: 'Peers that have everything, over all torrents',
    source: STORE,
    read: ({ swarms }) => single(swarms.seeders),
  },
  {
    name: 'torrust_tracker_leechers',
    type: 'gauge',
    unit: 'peers',
    help: 'Peers that still download, over all torrents',
    source: STORE,
    read: ({ swarms }) => single(swarms.leechers),
  },
  {
    name: 'torrust_tracker_peers',
    type: 'gauge',
    unit: 'peers',
    help: 'Peers by the family of their address, over all torrents; one that is in several swarms counts in each',
    labels: { family: FAMILIES },
    source: STORE,
    read: ({ swarms }) => byLabel('family', { ipv4: swarms.ipv4Peers, ipv6: swarms.ipv6Peers }),
  },
  {
    name: 'torrust_tracker_swarm_memory_used_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of the swarm store that torrents and peers take',
    source: STORE,
    read: ({ swarms }) => single(swarms.usedBytes),
  },
  {
    name: 'torrust_tracker_swarm_memory_limit_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory that the swarm store may take (swarm.memory)',
    source: STORE,
    read: ({ swarms }) => single(swarms.limitBytes),
  },
  {
    name: 'torrust_tracker_swarm_evictions_total',
    type: 'counter',
    unit: 'torrents or peers',
    help: 'What was removed before its time to make room in a full store: torrents without peers, and peers that were silent for longest',
    labels: { what: ['torrent', 'peer'] },
    source: STORE,
    read: ({ swarms }) => byLabel('what', { torrent: swarms.evictedTorrents, peer: swarms.evictedPeers }),
  },
  {
    name: 'torrust_tracker_announces_not_kept_total',
    type: 'counter',
    unit: 'announces',
    help: 'Announces that were answered but not stored, because the store was full and nothing could go',
    source: STORE,
    read: ({ swarms }) => single(swarms.unstoredAnnounces),
  },
  ...SNAPSHOT_INSTRUMENTS,
  {
    name: 'torrust_tracker_completed_downloads_total',
    type: 'counter',
    unit: 'downloads',
    help: 'Downloads that were completed since the start',
    source: NETWORK_THREADS,
    read: ({ counters }) => single(counters.completed_downloads),
  },
  {
    name: 'torrust_tracker_completed_downloads_persisted',
    type: 'gauge',
    unit: 'downloads',
    help: 'Downloads that were completed over all time, as the database knew last; 0 when it does not keep them',
    source: 'the database',
    read: ({ completed }) => single(completed.persisted),
  },
  {
    name: 'torrust_tracker_whitelisted_torrents',
    type: 'gauge',
    unit: 'torrents',
    help: 'Torrents on the whitelist in memory',
    source: 'the snapshot that announces are judged by',
    read: ({ access }) => single(access.whitelistedTorrents),
  },
  {
    name: 'torrust_tracker_keys',
    type: 'gauge',
    unit: 'keys',
    help: 'Authentication keys in memory, expired ones included',
    source: 'the snapshot that announces are judged by',
    read: ({ access }) => single(access.keys),
  },
  {
    name: 'torrust_tracker_database_up',
    type: 'gauge',
    unit: '1',
    help: 'Whether the database answers: 1 or 0; absent when there is none',
    source: 'the database thread',
    read: ({ database }) => (database === null ? [] : single(Number(database.isUp))),
  },
  {
    name: 'torrust_tracker_database_calls_waiting',
    type: 'gauge',
    unit: 'calls',
    help: 'Calls to the database that have no answer yet; absent when there is none',
    source: 'the main thread, which sends the calls',
    read: ({ database }) => (database === null ? [] : single(database.callsWaiting)),
  },
  {
    name: 'torrust_tracker_completed_counters_waiting',
    type: 'gauge',
    unit: 'torrents',
    help: 'Torrents whose completed counters wait to be read from or written to the database',
    source: 'the write-behind of completed counters',
    read: ({ completed }) => single(completed.torrentsWaiting),
  },
  {
    name: 'torrust_tracker_config_last_reload_successful',
    type: 'gauge',
    unit: '1',
    help: 'Whether all that the last reload found could be used: 1, or 0 when something was refused and the old stays; the start counts as a reload',
    source: 'the reload, at its end',
    read: ({ config }) => single(Number(config.isLastReloadSuccessful)),
  },
  {
    name: 'torrust_tracker_config_last_reload_success_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since 1970',
    help: 'When the last reload ended that refused nothing; the start counts as a reload',
    source: 'the reload, at its end',
    read: ({ config }) => single(config.lastSuccessSeconds),
  },
  {
    name: 'torrust_tracker_config_restart_needed',
    type: 'gauge',
    unit: '1',
    help: 'Whether the configuration holds changes that wait for a restart: 1 or 0',
    source: 'the reload, at its end',
    read: ({ config }) => single(Number(config.needsRestart)),
  },
  {
    name: 'torrust_tracker_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since 1970',
    help: 'When the certificate in force ends, for each service that has one',
    labels: { service: 'the table of the configuration: `http_trackers[0]`, `http_api`' },
    source: 'the certificate that is in force',
    read: ({ certificates }) =>
      certificates.map(({ service, expirySeconds }) => ({ labels: { service }, value: expirySeconds })),
  },
  ...SPAN_INSTRUMENTS,
];

/** The distributions that are read at each scrape. */
export const READ_HISTOGRAMS: readonly ReadHistogram[] = [
  {
    name: 'torrust_tracker_request_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: `Time from a request that was read to its reply that is ready, of requests that were served. One UDP request in ${UDP_SAMPLE_EVERY} and one HTTP request in ${HTTP_SAMPLE_EVERY} are measured (while traces are on, every HTTP request), so that the count is not that of requests`,
    labels: { protocol: PROTOCOLS, kind: ['connect', 'announce', 'scrape'] },
    source: NETWORK_THREADS,
    buckets: BOUNDS_MICROS.map((micros) => micros / 1_000_000),
    read: durationSamples,
  },
  {
    name: 'torrust_tracker_network_thread_delay_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: `How long what comes has to wait for a network thread. With native sockets: how long it is busy with what one look at them finds, of one look in ${BATCH_SAMPLE_EVERY}; with portable ones: how late a timer of its event loop is, ten times a second`,
    labels: { sockets: THREAD_KINDS },
    source: 'the network threads, each of itself',
    buckets: BOUNDS_MICROS.map((micros) => micros / 1_000_000),
    read: delaySamples,
  },
  {
    name: 'torrust_tracker_network_thread_gc_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'How long each garbage collection of a network thread took, and so what comes had to wait for it; those of the main thread are nodejs_gc_duration_seconds',
    source: 'the network threads, each of itself, ten times a second',
    buckets: BOUNDS_MICROS.map((micros) => micros / 1_000_000),
    read: collectionSamples,
  },
];

/** The counters and distributions that are recorded, by the names that code records them under. */
export const RECORDED_COUNTERS = {
  configReloads: {
    name: 'torrust_tracker_config_reloads_total',
    type: 'counter',
    unit: 'reloads',
    help: 'Looks at the configuration and the files that it names, after a change or a SIGHUP, by what came of it: something was taken over (adopted), nothing changed (same), all that changed waits for a restart (waiting), something could not be used (refused)',
    labels: { outcome: ['adopted', 'same', 'waiting', 'refused'] },
    source: 'the reload, at its end',
  },
  databaseCalls: {
    name: 'torrust_tracker_database_calls_total',
    type: 'counter',
    unit: 'calls',
    help: 'Calls to the database that ended, by how',
    labels: { operation: DATABASE_OPERATIONS, outcome: DATABASE_OUTCOMES },
    source: 'the main thread, when the answer is there or its time is over',
  },
} as const satisfies Record<string, RecordedCounter>;

export const RECORDED_HISTOGRAMS = {
  databaseCallSeconds: {
    name: 'torrust_tracker_database_call_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from a call to the database to its end, waiting included, however it ended',
    labels: { operation: DATABASE_OPERATIONS },
    source: 'the main thread, when the answer is there or its time is over',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
} as const satisfies Record<string, RecordedHistogram>;
