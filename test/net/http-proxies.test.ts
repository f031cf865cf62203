/** Whose address an HTTP tracker behind reverse proxies takes for the client's. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { announce, announceTarget, failureOf, get, scrapeTarget } from './http-exchange.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { newInfoHash } from './udp-exchange.ts';

const NO_ADDRESS =
  'Error resolving peer IP: missing or invalid the right most X-Forwarded-For IP (mandatory on reverse proxy tracker configuration)';

/** The listeners, by how they are set up. */
const LISTENERS = { direct: 0, proxied: 1, trusting: 2, trustingOthers: 3 } as const;

interface Case {
  readonly listener: keyof typeof LISTENERS;
  readonly header: string | string[] | null;
  /** The client's address; null: the request fails. */
  readonly client: string | null;
}

const CASES: Record<string, Case> = {
  'without a proxy the header means nothing': {
    listener: 'direct',
    header: '203.0.113.195',
    client: '127.0.0.1',
  },
  'one address is the client': { listener: 'proxied', header: '203.0.113.195', client: '203.0.113.195' },
  'the right-most address is the client': {
    listener: 'proxied',
    header: '203.0.113.195, 70.41.3.18,150.172.238.178',
    client: '150.172.238.178',
  },
  'several lines are one list': {
    listener: 'proxied',
    header: ['203.0.113.195', '70.41.3.18, 150.172.238.178'],
    client: '150.172.238.178',
  },
  'what is no address is passed over': {
    listener: 'proxied',
    header: '1.2.3.4, bad',
    client: '1.2.3.4',
  },
  'an address with a port is none': {
    listener: 'proxied',
    header: '1.2.3.4, 5.6.7.8:80, [2001:db8::1]:80, [2001:db8::1]',
    client: '1.2.3.4',
  },
  'leading zeros make no address': { listener: 'proxied', header: '1.2.3.4, 010.0.0.1', client: '1.2.3.4' },
  'an IPv6 address will do': { listener: 'proxied', header: '2001:db8::7', client: '2001:db8::7' },
  'a mapped address is the IPv4 one': { listener: 'proxied', header: '::ffff:1.2.3.4', client: '1.2.3.4' },
  'no header fails': { listener: 'proxied', header: null, client: null },
  'an empty header fails': { listener: 'proxied', header: '', client: null },
  'a header without an address fails': { listener: 'proxied', header: 'unknown, 1.2.3.4:80', client: null },
  'with trusted proxies, the right-most that is none of them is the client': {
    listener: 'trusting',
    header: '6.6.6.6, 203.0.113.195, 10.1.2.3, 2001:db8::9',
    client: '203.0.113.195',
  },
  'when all are trusted proxies, the left-most is the client': {
    listener: 'trusting',
    header: '10.0.0.1, 10.0.0.2',
    client: '10.0.0.1',
  },
  'a connection from no trusted proxy is the client itself': {
    listener: 'trustingOthers',
    header: '203.0.113.195',
    client: '127.0.0.1',
  },
  'a trusted proxy has to name somebody': { listener: 'trusting', header: null, client: null },
};

forEachSocketPath((sockets) => {
  describe(`The client of a request over HTTP with ${sockets} sockets:`, () => {
    const proxied = { on_reverse_proxy: true };
    const suite = threadsOfSuite(sockets, {
      // That a listed proxy announces itself is not the point here.
      source_guard: { exempt: ['0.0.0.0/0', '::/0'] },
      http: [
        {},
        { network: proxied },
        { network: { ...proxied, trusted_proxies: ['127.0.0.0/8', '10.0.0.0/8', '2001:db8::/32'] } },
        { network: { ...proxied, trusted_proxies: ['10.0.0.0/8'] } },
      ],
    });

    for (const [title, { listener, header, client }] of Object.entries(CASES)) {
      test(title, async () => {
        const { threads } = suite;
        const http = threads.http[LISTENERS[listener]];
        const asking = { headers: header === null ? {} : { 'x-forwarded-for': header } };
        const infoHash = newInfoHash();
        if (client === null) {
          const failed = () => failureOf(http, announceTarget(infoHash), asking);
          const failure = await threads.expectCounts({ tcp4_errors_handled: 1, tcp4_responses: 1 }, failed);
          assert.deepEqual(failure, { reason: NO_ADDRESS, retryIn: undefined });
          assert.deepEqual(threads.store.peersOf(infoHash.toString('hex')), []);
          return;
        }
        const family = client.includes(':') ? 6 : 4;
        await threads.expectCounts(
          {
            [`tcp${family}_connections_handled`]: 1,
            [`tcp${family}_announces_handled`]: 1,
            // The proxy's connection.
            tcp4_responses: 1,
          },
          () => announce(http, infoHash, { port: 1001 }, asking),
        );
        const watcher = { port: 9, peer_id: 'another-peer-of-test' };
        const { peers } = await announce(threads.http[0], infoHash, watcher, { from: '127.0.0.8' });
        assert.deepEqual(peers, [`${client}:1001`]);
      });
    }

    test('a scrape needs one too', async () => {
      const target = scrapeTarget([newInfoHash()]);
      assert.equal((await failureOf(suite.threads.http[1], target)).reason, NO_ADDRESS);
      const { body } = await get(suite.threads.http[1], target, {
        headers: { 'x-forwarded-for': '1.2.3.4' },
      });
      assert.match(body, /^d5:files/);
    });

    test('a refusal of the key or the torrent comes before the lack of an address', async () => {
      suite.threads.configure({ core: { listed: true, private: false } });
      const { reason } = await failureOf(suite.threads.http[1], announceTarget(newInfoHash()));
      assert.match(reason, /is not whitelisted$/);
    });
  });
});
