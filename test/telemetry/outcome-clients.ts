/**
 * Clients that ask in every way that a tracker can be asked and note what they are told, each request under an address
 * of its own: served, or refused for each of the reasons that there are.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { PROBE_INFO_HASH } from '../../tracker/protocol/probe-hash.ts';
import {
  decodeUdpReply,
  encodeConnectRequest,
  encodeScrapeRequest,
} from '../../tracker/protocol/udp-client.ts';
import type { RefusalReasonName, RequestKindName } from '../../tracker/swarm/refusals.ts';
import { announceTarget, get, type HttpAnswer, scrapeTarget } from '../net/http-exchange.ts';
import { announceBytes, newInfoHash } from '../net/udp-exchange.ts';
import { BalancedAgent, type BalancedUdp, type Family } from './balanced-clients.ts';
import type { Tally } from './tally.ts';

type Outcome = 'ok' | RefusalReasonName;

/** What the tracker knows of, and what it does not. */
export interface Admission {
  readonly key: string;
  readonly unknownKey: string;
  readonly listed: Uint8Array;
}

/** Addresses that others can hardly reach, by what the guard calls them; see `CLUSTER_RANGES`. */
const LOCAL_SOURCES: Readonly<Record<Family, Readonly<Record<string, string>>>> = {
  ipv4: {
    cluster: '198.18.0.1',
    proxy: '127.0.0.1',
    loopback: '127.0.0.5',
    private: '10.0.0.1',
    shared: '100.64.0.1',
    link_local: '169.254.0.1',
  },
  ipv6: { cluster: '2001:db8:c::1', proxy: '::1', link_local: 'fe80::1', unique_local: 'fd00::1' },
};
export const CLUSTER_RANGES = ['198.18.0.0/16', '2001:db8:c::/48'];

/** The instruments that these clients move, with every value of their labels. */
export const MET_BY_CLIENTS: ReadonlySet<string> = new Set([
  'torrust_tracker_requests_total',
  'torrust_tracker_replies_sent_total',
  'torrust_tracker_udp_datagrams_ignored_total',
  'torrust_tracker_connection_id_failures_total',
  'torrust_tracker_http_requests_banned_total',
  'torrust_tracker_proxy_headers_refused_total',
  'torrust_tracker_local_source_announces_total',
  'torrust_tracker_local_source_announces_refused_total',
  'torrust_tracker_probe_announces_total',
]);

/** Networks that are banned by hand, and a client of each. */
export const BANNED_NETWORKS = ['198.51.100.0/24', '2001:db8:bad::/64'];
const BANNED_CLIENTS: Readonly<Record<Family, string>> = { ipv4: '198.51.100.7', ipv6: '2001:db8:bad::7' };

/** What an address may ask at once, its network, and how many wrong connection ids it may send. */
export const BURST = 10;
export const NETWORK_BURST = 15;
export const WRONG_IDS = 3;
/** No loop of requests until something happens goes on for longer. */
const MOST_REQUESTS = 100;

let clients = 0;

/** The address of a new client, in a network of its own, or the next address in the network of another. */
function newClient(family: Family, host = 1): string {
  clients++;
  return family === 'ipv4'
    ? `20.${clients >> 8}.${clients & 255}.${host}`
    : `2001:db8:1:${clients.toString(16)}::${host}`;
}

/** The texts that clients are told, which may be cut to the length of a datagram, and what they mean. */
const REASONS: readonly (readonly [RegExp, Outcome])[] = [
  [/^connection id could/, 'connection_id'],
  [/Authentication error: (Missing|Failed)/, 'key'],
  [/is not whitelisted/, 'not_listed'],
  [/one that other clients cannot reach/, 'source'],
  [/Error resolving peer IP/, 'client_address'],
  [/Too many requests/, 'limited'],
  [/This address is banned/, 'banned'],
];

function reasonOf(text: string): Outcome {
  return REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? 'malformed';
}

/** Clients of one UDP listener. */
export class UdpOutcomes {
  readonly #balancer: BalancedUdp;
  readonly #family: Family;
  readonly #tally: Tally;

  constructor(balancer: BalancedUdp, family: Family, tally: Tally) {
    this.#balancer = balancer;
    this.#family = family;
    this.#tally = tally;
  }

  /** Everything that does not take time. */
  async meetAll(admission: Admission): Promise<void> {
    await this.#meetServed(admission);
    await this.#meetRefusals(admission);
    await this.#meetSources(admission);
    await this.#meetSilence();
    await this.#meetLimits(admission);
    await this.#meetBans();
  }

  /** Uses ids of a listener where they are good for a second until they are too old. */
  async meetExpiry({ listed }: Admission): Promise<void> {
    const client = newClient(this.#family);
    const id = await this.#connect(client);
    const scrape = encodeScrapeRequest(id, 1, [listed]);
    for (let count = 1; (await this.#ask(client, 'scrape', scrape)) === 'ok'; count++) {
      assert.ok(count < BURST, 'an id is too old at last');
      await sleep(400); // the clock of the ids has to go on
    }
    this.#wrongId('expired');
    const announce = announceBytes({ connectionId: id, infoHash: listed });
    assert.equal(await this.#ask(client, 'announce', announce), 'connection_id');
    this.#wrongId('expired');
  }

  async #meetServed({ key, listed }: Admission): Promise<void> {
    const urlData = `/announce/${key}`;
    const client = newClient(this.#family);
    const connectionId = await this.#connect(client);
    const announce = { connectionId, infoHash: listed, urlData };
    const completed = { ...announce, event: AnnounceEvent.completed, leftBytes: 0n };
    // Whoever is complete completes nothing a second time.
    for (const each of [announce, completed, completed])
      assert.equal(await this.#ask(client, 'announce', announceBytes(each)), 'ok');
    this.#tally.add('completed_downloads_total');
    const scrape = encodeScrapeRequest(connectionId, 1, [listed, newInfoHash()]);
    assert.equal(await this.#ask(client, 'scrape', scrape), 'ok');
  }

  async #meetRefusals({ key, unknownKey, listed }: Admission): Promise<void> {
    const client = newClient(this.#family);
    const connectionId = await this.#connect(client);
    const good = { connectionId, infoHash: listed, urlData: `/announce/${key}` };
    const badProtocol = Buffer.from(encodeConnectRequest(1)).fill(1, 0, 1);
    const badAction = Buffer.alloc(16).fill(9, 11, 12);
    const refused: readonly (readonly [RequestKindName, Outcome, Uint8Array])[] = [
      ['connect', 'malformed', badProtocol],
      ['announce', 'malformed', announceBytes({ ...good, port: 0 })],
      ['announce', 'key', announceBytes({ ...good, urlData: '' })],
      ['announce', 'key', announceBytes({ ...good, urlData: `/announce/${unknownKey}` })],
      ['announce', 'not_listed', announceBytes({ ...good, infoHash: newInfoHash() })],
      ['scrape', 'malformed', Buffer.from(encodeScrapeRequest(connectionId, 1, [listed])).subarray(0, 30)],
      ['other', 'malformed', badAction],
    ];
    for (const [kind, outcome, datagram] of refused)
      assert.equal(await this.#ask(client, kind, datagram), outcome, `${kind}: ${outcome}`);
    const stranger = newClient(this.#family);
    for (const [id, reason] of [
      [1n, 'forged'],
      [connectionId, 'other_address'],
    ] as const) {
      const announce = announceBytes({ ...good, connectionId: id });
      assert.equal(await this.#ask(stranger, 'announce', announce), 'connection_id');
      this.#wrongId(reason);
    }
    const scrape = encodeScrapeRequest(1n, 1, [listed]);
    assert.equal(await this.#ask(newClient(this.#family), 'scrape', scrape), 'connection_id');
    this.#wrongId('forged');
  }

  async #meetSources({ key }: Admission): Promise<void> {
    for (const [source, address] of Object.entries(LOCAL_SOURCES[this.#family])) {
      const connectionId = await this.#connect(address);
      const announce = announceBytes({ connectionId, infoHash: newInfoHash() });
      assert.equal(await this.#ask(address, 'announce', announce), 'source', source);
      countLocal(this.#tally, source);
      const probe = { connectionId, infoHash: PROBE_INFO_HASH, urlData: `/${key}` };
      assert.equal(await this.#ask(address, 'announce', announceBytes(probe)), 'ok');
      this.#tally.add('probe_announces_total');
    }
  }

  async #meetSilence(): Promise<void> {
    const client = newClient(this.#family);
    assert.equal(await this.#balancer.ask(client, Buffer.alloc(15)), null);
    this.#tally.add('udp_datagrams_ignored_total', { reason: 'unanswerable' });
    assert.equal(await this.#balancer.ask(null, encodeConnectRequest(1)), null);
    this.#tally.add('proxy_headers_refused_total');
  }

  async #meetLimits({ key, listed }: Admission): Promise<void> {
    const kinds: Readonly<Record<string, (id: bigint) => Uint8Array>> = {
      connect: () => encodeConnectRequest(1),
      announce: (id) => announceBytes({ connectionId: id, infoHash: listed, urlData: `/${key}` }),
      scrape: (id) => encodeScrapeRequest(id, 1, [listed]),
      other: () => Buffer.alloc(16).fill(9, 11, 12),
    };
    for (const [kind, datagramOf] of Object.entries(kinds)) {
      const client = newClient(this.#family);
      const datagram = datagramOf(await this.#connect(client));
      // `kinds` has no other keys.
      await untilLimited(() => this.#ask(client, kind as RequestKindName, datagram));
      this.#limited(kind as RequestKindName, 'per_ip');
    }
    const [one, other] = neighbours(this.#family);
    await untilLimited(() => this.#ask(one, 'connect', encodeConnectRequest(1)));
    this.#limited('connect', 'per_ip');
    await untilLimited(() => this.#ask(other, 'connect', encodeConnectRequest(1)));
    this.#limited('connect', 'per_network');
  }

  /** Who is banned by hand, and who sends too many wrong ids. */
  async #meetBans(): Promise<void> {
    assert.equal(await this.#balancer.ask(BANNED_CLIENTS[this.#family], encodeConnectRequest(1)), null);
    this.#tally.add('udp_datagrams_ignored_total', { reason: 'banned' });
    const client = newClient(this.#family);
    const scrape = encodeScrapeRequest(1n, 1, [newInfoHash()]);
    for (let count = 0; count <= WRONG_IDS; count++) {
      assert.equal(await this.#ask(client, 'scrape', scrape), 'connection_id');
      this.#wrongId('forged');
    }
    assert.equal(await this.#balancer.ask(client, scrape), null);
    this.#tally.add('udp_datagrams_ignored_total', { reason: 'banned' });
  }

  async #connect(client: string): Promise<bigint> {
    const reply = await this.#balancer.ask(client, encodeConnectRequest(1));
    assert.ok(reply !== null);
    this.#met('connect', 'ok');
    const connected = decodeUdpReply(reply, this.#family === 'ipv4' ? 4 : 6);
    assert.equal(connected.kind, 'connect');
    return connected.connectionId;
  }

  /** What came of a request, which the client counts; silence, which can have several reasons, it leaves to who asks. */
  async #ask(client: string, kind: RequestKindName, datagram: Uint8Array): Promise<Outcome | 'silence'> {
    const bytes = await this.#balancer.ask(client, datagram);
    if (bytes === null) return 'silence';
    const reply = decodeUdpReply(bytes, this.#family === 'ipv4' ? 4 : 6);
    const outcome = reply.kind === 'error' ? reasonOf(reply.message) : 'ok';
    if (outcome === 'ok') assert.equal(reply.kind, kind);
    this.#met(kind, outcome);
    return outcome;
  }

  #met(kind: RequestKindName, outcome: Outcome): void {
    this.#tally.add('requests_total', { protocol: 'udp', family: this.#family, kind, outcome });
    this.#tally.add('replies_sent_total', { protocol: 'udp', family: this.#family });
  }

  #limited(kind: RequestKindName, limit: 'per_ip' | 'per_network'): void {
    this.#tally.add('requests_total', { protocol: 'udp', family: this.#family, kind, outcome: 'limited' });
    this.#tally.add('requests_beyond_limits_total', { limit });
  }

  #wrongId(reason: 'expired' | 'other_address' | 'forged'): void {
    this.#tally.add('connection_id_failures_total', { reason });
  }
}

/** Clients of one HTTP or HTTPS listener. */
export class HttpOutcomes {
  readonly #tracker: SocketAddress;
  readonly #family: Family;
  readonly #isTls: boolean;
  readonly #tally: Tally;

  constructor(tracker: SocketAddress, family: Family, isTls: boolean, tally: Tally) {
    this.#tracker = tracker;
    this.#family = family;
    this.#isTls = isTls;
    this.#tally = tally;
  }

  async meetAll(admission: Admission): Promise<void> {
    await this.#meetOne(admission);
    await this.#meetSources(admission);
    await this.#meetLimits(admission);
    await this.#meetStrangers();
  }

  /** What a listener says that expects a reverse proxy, and is told no address. */
  async meetNoAddress({ key, listed }: Admission): Promise<void> {
    const targets = { announce: announceTarget(listed, {}, key), scrape: scrapeTarget([listed]) } as const;
    for (const kind of ['announce', 'scrape'] as const)
      assert.equal(await this.#ask(newClient(this.#family), kind, targets[kind]), 'client_address');
  }

  async #meetOne({ key, unknownKey, listed }: Admission): Promise<void> {
    const complete = { event: 'completed', left: 0 };
    const cases: readonly (readonly [RequestKindName, Outcome, string, string?])[] = [
      ['announce', 'ok', announceTarget(listed, { left: 1 }, key)],
      ['announce', 'ok', announceTarget(listed, complete, key)],
      ['announce', 'malformed', announceTarget(listed, { port: null }, key)],
      ['announce', 'malformed', announceTarget(listed, {}, 'no-key')],
      ['announce', 'key', announceTarget(listed)],
      ['announce', 'key', announceTarget(listed, {}, unknownKey)],
      ['announce', 'not_listed', announceTarget(newInfoHash(), {}, key)],
      ['scrape', 'ok', scrapeTarget([listed], key)],
      ['scrape', 'ok', scrapeTarget([listed])],
      ['scrape', 'malformed', '/scrape'],
      ['health_check', 'ok', '/health_check'],
      ['other', 'malformed', '/nowhere'],
      ['other', 'malformed', '/announce', 'POST'],
    ];
    for (const half of [cases.slice(0, 7), cases.slice(7)]) {
      const client = newClient(this.#family);
      for (const [kind, outcome, target, method] of half)
        assert.equal(await this.#ask(client, kind, target, method), outcome, `${outcome}: ${target}`);
    }
    this.#tally.add('completed_downloads_total');
    for (const kind of ['announce', 'scrape'] as const) {
      const target = kind === 'announce' ? announceTarget(listed, {}, key) : scrapeTarget([listed]);
      assert.equal(await this.#ask(BANNED_CLIENTS[this.#family], kind, target), 'banned');
      this.#tally.add('http_requests_banned_total');
    }
  }

  async #meetSources({ key }: Admission): Promise<void> {
    for (const [source, address] of Object.entries(LOCAL_SOURCES[this.#family])) {
      assert.equal(await this.#ask(address, 'announce', announceTarget(newInfoHash())), 'source', source);
      countLocal(this.#tally, source);
      const probe = announceTarget(PROBE_INFO_HASH, {}, key);
      assert.equal(await this.#ask(address, 'announce', probe), 'ok');
      this.#tally.add('probe_announces_total');
    }
  }

  async #meetLimits({ key, listed }: Admission): Promise<void> {
    const kinds = {
      announce: announceTarget(listed, {}, key),
      scrape: scrapeTarget([listed]),
      health_check: '/health_check',
      other: '/nowhere',
    };
    for (const [kind, target] of Object.entries(kinds)) {
      const client = newClient(this.#family);
      // `kinds` has no other keys.
      await untilLimited(() => this.#ask(client, kind as RequestKindName, target));
      this.#tally.add('requests_beyond_limits_total', { limit: 'per_ip' });
    }
    const [one, other] = neighbours(this.#family);
    for (const [client, limit] of [
      [one, 'per_ip'],
      [other, 'per_network'],
    ] as const) {
      await untilLimited(() => this.#ask(client, 'health_check', '/health_check'));
      this.#tally.add('requests_beyond_limits_total', { limit });
    }
  }

  /** Somebody who has no header of the balancer in front of a request gets no answer. */
  async #meetStrangers(): Promise<void> {
    await assert.rejects(get(this.#tracker, '/health_check'));
    this.#tally.add('proxy_headers_refused_total');
  }

  async #ask(client: string, kind: RequestKindName, target: string, method = 'GET'): Promise<Outcome> {
    const agent = new BalancedAgent(client, this.#isTls);
    const outcome = outcomeOf(await get(this.#tracker, target, { agent, method }));
    this.#tally.add('requests_total', { protocol: 'http', family: this.#family, kind, outcome });
    this.#tally.add('replies_sent_total', { protocol: 'http', family: this.#family });
    return outcome;
  }
}

function outcomeOf({ status, headers, body }: HttpAnswer): Outcome {
  if (status === 429) return 'limited';
  if (status !== 200) return 'malformed';
  return headers['content-type'] === 'text/plain; charset=utf-8' ? reasonOf(body) : 'ok';
}

/** Asks again and again until it is too much. */
async function untilLimited(ask: () => Promise<Outcome | 'silence'>): Promise<void> {
  for (let count = 0; count < MOST_REQUESTS; count++) {
    const outcome = await ask();
    if (outcome === 'silence' || outcome === 'limited') return;
  }
  assert.fail('nothing is too much');
}

/** Two clients of one network. */
function neighbours(family: Family): [string, string] {
  const one = newClient(family);
  return [one, one.replace(/1$/, '2')];
}

function countLocal(tally: Tally, source: string): void {
  tally.add('local_source_announces_total', { source });
  tally.add('local_source_announces_refused_total');
}
