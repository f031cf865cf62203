/**
 * Numbers agree for whatever can come of a request: clients bring about every outcome of every kind of request, over UDP,
 * HTTP and HTTPS, IPv4 and IPv6, and every counter of the network threads is what they counted, no more and no less.
 * With two threads, so that rows are summed.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { PROBE_INFO_HASH } from '../../tracker/protocol/probe-hash.ts';
import { REASONS_OF } from '../../tracker/swarm/refusals.ts';
import { READ_INSTRUMENTS } from '../../tracker/telemetry/instruments.ts';
import { selfSigned } from '../api/certificates.ts';
import { SOCKET_PATHS, type SocketPath } from '../net/tracker-threads.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import { needs } from '../support/parts.ts';
import {
  type PartialConfig,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { BalancedUdp, EXEMPT_WITNESSES, TRUSTED_BALANCERS } from './balanced-clients.ts';
import { scrape } from './exposition.ts';
import {
  type Admission,
  BANNED_NETWORKS,
  BURST,
  CLUSTER_RANGES,
  HttpOutcomes,
  MET_BY_CLIENTS,
  NETWORK_BURST,
  UdpOutcomes,
  WRONG_IDS,
} from './outcome-clients.ts';
import { countedBy, Tally } from './tally.ts';

const TOKEN = 'a-token-of-the-test';
const ADMISSION: Admission = {
  key: 'abcdefghijklmnopqrstuvwxyz012345',
  unknownKey: 'zbcdefghijklmnopqrstuvwxyz012345',
  listed: newInfoHash(),
};
const ANY = [{ bind_address: '127.0.0.1:0' }, { bind_address: '[::1]:0' }];
const FAMILIES = ['ipv4', 'ipv6'] as const;
/** Everything that network threads count of what came, but for the time that they took. */
const COUNTERS = new Set(
  READ_INSTRUMENTS.filter(
    ({ type, source, name }) =>
      type === 'counter' && source.startsWith('the network threads') && !name.includes('_cpu_'),
  ).map(({ name }) => name as string),
);

const REPLIES = 'torrust_tracker_replies_sent_total';

/** A tracker that has a reason to refuse for everybody. */
function guarded(folder: string, sockets: SocketPath): PartialConfig {
  const { cert, key } = selfSigned('tracker.example');
  const [ssl_cert_path, ssl_key_path] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  writeFileSync(ssl_cert_path, cert);
  writeFileSync(ssl_key_path, key);
  const rate = { requests_per_second: 1 };
  return {
    core: { private: true, listed: true, database: { driver: 'sqlite3', path: join(folder, 'tracker.db') } },
    udp_trackers: [...ANY, ...ANY.map((any) => ({ ...any, cookie_lifetime: 1 }))],
    http_trackers: [
      ...ANY,
      ...ANY.map((any) => ({ ...any, tls_config: { ssl_cert_path, ssl_key_path } })),
      ...ANY.map((any) => ({ ...any, network: { on_reverse_proxy: true } })),
    ],
    http_api: { bind_address: '127.0.0.1:0', access_tokens: { admin: TOKEN } },
    udp_tracker_server: { max_connection_id_errors_per_ip: WRONG_IDS },
    limits: {
      per_ip: { ...rate, burst: BURST },
      per_network: { ...rate, burst: NETWORK_BURST },
      exempt: EXEMPT_WITNESSES,
    },
    source_guard: { policy: 'refuse', cluster_ranges: CLUSTER_RANGES },
    proxy_protocol: { trusted_proxies: TRUSTED_BALANCERS },
    network: { sockets, workers: 2, receive_buffer_bytes: 2 ** 20 },
  };
}

async function post(tracker: TrackerProcess, path: string, body?: object): Promise<void> {
  const { status } = await fetch(`${tracker.api}/api/v1/${path}?token=${TOKEN}`, {
    method: 'POST',
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  assert.equal(status, 200, path);
}

for (const sockets of SOCKET_PATHS) {
  test(
    `every outcome is counted as often as clients met it, with ${sockets} sockets`,
    needs('ipv6'),
    async (context) => {
      const folder = temporaryFolder(context);
      const tracker = await startTrackerProcess(context, guarded(folder, sockets), { folder });
      await post(tracker, 'keys', { key: ADMISSION.key, seconds_valid: null });
      for (const infoHash of [ADMISSION.listed, PROBE_INFO_HASH])
        await post(tracker, `whitelist/${Buffer.from(infoHash).toString('hex')}`);
      for (const address of BANNED_NETWORKS) await post(tracker, 'bans', { address });

      const tally = new Tally();
      for (const [index, family] of FAMILIES.entries()) {
        const [usual, shortLived] = [
          await BalancedUdp.open(context, tracker.udp[index], family),
          await BalancedUdp.open(context, tracker.udp[index + 2], family),
        ];
        await new UdpOutcomes(usual, family, tally).meetAll(ADMISSION);
        await new UdpOutcomes(shortLived, family, tally).meetExpiry(ADMISSION);
        const served = { protocol: 'udp', family };
        const witnessed = usual.witnessed + shortLived.witnessed;
        tally.add('requests_total', { ...served, kind: 'connect', outcome: 'ok' }, witnessed);
        tally.add('replies_sent_total', served, witnessed);
        await new HttpOutcomes(tracker.http[index], family, false, tally).meetAll(ADMISSION);
        await new HttpOutcomes(tracker.http[index + 2], family, true, tally).meetAll(ADMISSION);
        await new HttpOutcomes(tracker.http[index + 4], family, false, tally).meetNoAddress(ADMISSION);
      }
      for (const outcome of everyOutcome())
        assert.ok(outcome in tally.counts, `no client of this test met ${outcome}`);
      for (const facts of READ_INSTRUMENTS.filter(({ name }) => MET_BY_CLIENTS.has(name)))
        assert.deepEqual(tally.missing(facts), [], facts.name);
      const { counts } = tally;
      // A reply is counted when it was sent, which may be after it was received.
      await waitFor('every reply to be counted', async () => {
        const found = countedBy(await scrape(tracker.metrics), COUNTERS);
        return Object.keys(counts).every((key) => !key.startsWith(REPLIES) || found[key] >= counts[key]);
      });
      assert.deepEqual(countedBy(await scrape(tracker.metrics), COUNTERS), counts);
      await checkStats(tracker, tally);
      assert.equal((await tracker.stop()).code, 0);
    },
  );
}

/** The statistics of the REST API, under the names of Torrust, tell the same. */
async function checkStats(tracker: TrackerProcess, tally: Tally): Promise<void> {
  const response = await fetch(`${tracker.api}/api/v1/stats?token=${TOKEN}`);
  const stats = z.record(z.string(), z.unknown()).parse(await response.json());
  const ignored = (reason: string) => tally.sum('udp_datagrams_ignored_total', { reason });
  const expected: Record<string, number> = {
    udp_requests_discarded: ignored('unanswerable'),
    udp_requests_banned: ignored('banned'),
    completed_in_session: tally.sum('completed_downloads_total', {}),
  };
  for (const [family, digit] of [
    ['ipv4', 4],
    ['ipv6', 6],
  ] as const) {
    const requests = (protocol: string, labels: Record<string, string> = {}) =>
      tally.sum('requests_total', { protocol, family, ...labels });
    const served = (protocol: string, kind: string) => requests(protocol, { kind, outcome: 'ok' });
    const announces = served('http', 'announce');
    const scrapes = served('http', 'scrape');
    Object.assign(expected, {
      [`tcp${digit}_connections_handled`]: announces + scrapes,
      [`tcp${digit}_announces_handled`]: announces,
      [`tcp${digit}_scrapes_handled`]: scrapes,
      [`udp${digit}_requests`]: requests('udp'),
      [`udp${digit}_connections_handled`]: served('udp', 'connect'),
      [`udp${digit}_announces_handled`]: served('udp', 'announce'),
      [`udp${digit}_scrapes_handled`]: served('udp', 'scrape'),
      [`udp${digit}_responses`]: tally.sum('replies_sent_total', { protocol: 'udp', family }),
      [`udp${digit}_errors_handled`]:
        requests('udp') - requests('udp', { outcome: 'ok' }) - requests('udp', { outcome: 'limited' }),
    });
  }
  const told = Object.fromEntries(Object.keys(expected).map((name) => [name, stats[name]]));
  assert.deepEqual(told, expected);
}

/** Every combination of protocol, family, kind and outcome that there can be, as a tally names it. */
function everyOutcome(): string[] {
  const all = new Tally();
  for (const [protocol, kinds] of Object.entries(REASONS_OF)) {
    for (const family of FAMILIES) {
      for (const [kind, reasons] of Object.entries(kinds)) {
        for (const outcome of reasons) all.add('requests_total', { protocol, family, kind, outcome });
      }
    }
  }
  return Object.keys(all.counts);
}
