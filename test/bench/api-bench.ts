/**
 * `bench api`: how long the REST API takes with a large store behind it: a page of torrents at the beginning, in the
 * middle and at the end, one torrent, the statistics. Application and client share this process, and its main thread.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Access } from '../../tracker/access.ts';
import { AddressBans } from '../../tracker/address-bans.ts';
import { AddressRanges } from '../../tracker/address-ranges.ts';
import { BanKeeper } from '../../tracker/api/ban-keeper.ts';
import { KeyKeeper } from '../../tracker/api/key-keeper.ts';
import { createRestApp } from '../../tracker/api/rest-app.ts';
import { openApiServer, type ApiServer } from '../../tracker/api/server.ts';
import { WhitelistKeeper } from '../../tracker/api/whitelist-keeper.ts';
import { configShape } from '../../tracker/config/schema.ts';
import { Policy } from '../../tracker/policy.ts';
import { CounterRows } from '../../tracker/swarm/counters.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { fillStore } from './filled-store.ts';
import { infoHashText } from './population.ts';
import { formatCount, formatSpread, formatTable, saveFigures, spreadOf } from './report.ts';

export interface ApiBenchOptions {
  readonly torrents: number;
  readonly peers: number;
  /** Requests of each kind. */
  readonly rounds: number;
  readonly folder: string;
}

const STORE_BYTES_PER_PEER = 512;
const PAGE = 1000;
const TOKEN = 'bench';

/** Measures, prints and keeps the figures. */
export async function benchApi(options: ApiBenchOptions): Promise<void> {
  const { torrents, peers, rounds, folder } = options;
  const store = Store.create(peers * STORE_BYTES_PER_PEER);
  fillStore(store, torrents, peers);
  const totals = store.totals();
  console.log(`\n${formatCount(totals.torrents)} torrents, ${formatCount(totals.ipv4Peers)} peers`);
  const server = await openServer(store);
  const paths: Record<string, string> = {
    'the first 1,000 torrents': `torrents?offset=0&limit=${PAGE}`,
    '1,000 torrents from the middle': `torrents?offset=${Math.floor(torrents / 2)}&limit=${PAGE}`,
    'the last 1,000 torrents': `torrents?offset=${torrents - PAGE}&limit=${PAGE}`,
    'one small torrent': `torrent/${infoHashText(torrents - 1)}`,
    'the largest torrent': `torrent/${infoHashText(0)}`,
    statistics: 'stats?',
  };
  const figures: Record<string, { millis: number[]; bytes: number; longestBlockMillis: number }> = {};
  try {
    for (const [name, path] of Object.entries(paths)) {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      const millis: number[] = [];
      let bytes = 0;
      for (let round = 0; round < rounds; round++) {
        const startMillis = performance.now();
        bytes = await fetchBytes(server, path);
        millis.push(performance.now() - startMillis);
      }
      delay.disable();
      figures[name] = { millis, bytes, longestBlockMillis: delay.max / 1e6 };
    }
  } finally {
    await server.close(0);
  }
  const rows = Object.entries(figures).map(([name, { millis, bytes, longestBlockMillis }]) => [
    name,
    formatSpread(spreadOf(millis), (figure) => figure.toFixed(1)),
    formatCount(bytes),
    longestBlockMillis.toFixed(1),
  ]);
  console.log(formatTable(['request', 'ms', 'bytes', 'longest time the thread was busy, ms'], rows));
  console.log(`figures: ${saveFigures(folder, 'api', { options, figures })}`);
}

/** The REST API over a store, without a database. */
function openServer(store: Store): Promise<ApiServer> {
  const config = configShape.parse({
    metadata: { schema_version: '3.0.0' },
    logging: { trace_filter: 'off' },
    core: { listed: false, private: false },
  });
  const access = Access.create();
  const app = createRestApp({
    store,
    counters: CounterRows.create(1),
    policy: Policy.create(config),
    keys: new KeyKeeper(access, null),
    bans: new BanKeeper(AddressBans.create(), new AddressRanges([]), null),
    whitelist: new WhitelistKeeper(access, null),
    databaseDriver: 'Sqlite3',
    tokens: () => [TOKEN],
    figures: () => ({
      completedInSession: 0,
      completedPersisted: 0,
      bannedIps: 0,
      restoredTorrents: 0,
      restoredPeers: 0,
    }),
    listeners: () => [],
  });
  return openApiServer({ name: 'The REST API', app, bindAddress: { host: '127.0.0.1', port: 0 } });
}

async function fetchBytes(server: ApiServer, path: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${server.address.port}/api/v1/${path}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const body = await response.arrayBuffer();
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  return body.byteLength;
}
