/** What an HTTP tracker answers to announces (BEP 3, 7, 21, 23, 24): bytes, counts, and which peers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PROBE_INFO_HASH } from '../../tracker/protocol/probe-hash.ts';
import { needs } from '../support/parts.ts';
import { announce, announceTarget, get, percentEncode } from './http-exchange.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { newInfoHash, peerId, UdpClient } from './udp-exchange.ts';

const DICTIONARY_HEAD = 'd8:completei1e10:incompletei0e8:intervali120e12:min intervali120e';

forEachSocketPath((sockets) => {
  describe(`An HTTP announce over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, {
      http: [
        {},
        { network: { external_ip: '203.0.113.7' } },
        { external_ip_in_reply: true },
        { use_ip_from_query_string: true },
        { external_ip_in_reply: true, network: { external_ip: '203.0.113.7' } },
      ],
      udp: [{}],
    });

    describe('is answered with these bytes when it is the first', () => {
      const cases: Record<string, { compact: string | null; body: string }> = {
        'and asks for no form': { compact: null, body: `${DICTIONARY_HEAD}5:peerslee` },
        'and asks for the long form': { compact: '0', body: `${DICTIONARY_HEAD}5:peerslee` },
        'and asks for the compact form': { compact: '1', body: `${DICTIONARY_HEAD}5:peers0:6:peers60:e` },
      };
      for (const [title, { compact, body }] of Object.entries(cases)) {
        test(title, async () => {
          const answer = await get(suite.threads.http[0], announceTarget(newInfoHash(), { compact }));
          assert.deepEqual(answer.body, body);
          assert.equal(answer.status, 200);
          assert.equal(answer.headers['content-type'], 'application/octet-stream');
          assert.equal(answer.headers['content-length'], String(body.length));
          assert.equal(answer.headers['cache-control'], undefined);
          assert.equal(answer.headers['content-encoding'], undefined);
        });
      }
    });

    test('for the info hash of probes is answered and leaves nothing behind', async () => {
      const before = suite.threads.swarms();
      for (const port of [1001, 1002]) {
        const target = announceTarget(PROBE_INFO_HASH, { compact: 1, port, event: 'completed' });
        const { body } = await get(suite.threads.http[0], target);
        assert.equal(body, `${DICTIONARY_HEAD.replace('i1e', 'i0e')}5:peers0:6:peers60:e`);
      }
      assert.deepEqual(suite.threads.swarms(), before);
    });

    test('names other peers with address, id and port in the long form', async () => {
      const [http] = suite.threads.http;
      const infoHash = newInfoHash();
      await announce(http, infoHash, { port: 1001, peer_id: percentEncode(peerId(1)) });
      const { body } = await get(
        http,
        announceTarget(infoHash, { port: 1002, peer_id: percentEncode(peerId(2)) }),
      );
      const peer = 'd2:ip9:127.0.0.17:peer id20:-TT0001-0000000000014:porti1001ee';
      assert.equal(body, `${DICTIONARY_HEAD.replace('i1e', 'i2e')}5:peersl${peer}ee`);
    });

    test('names other peers by six bytes in the compact form', async () => {
      const [http] = suite.threads.http;
      const infoHash = newInfoHash();
      await announce(http, infoHash, { port: 0x6970 }, { from: '127.105.105.105' });
      const { body } = await get(http, announceTarget(infoHash, { port: 1, compact: 1 }));
      assert.equal(body, `${DICTIONARY_HEAD.replace('i1e', 'i2e')}5:peers6:\x7fiiiip6:peers60:e`);
    });

    test('says the intervals of the configuration', async () => {
      suite.threads.configure({ core: { announce_policy: { interval: 1800, interval_min: 900 } } });
      const { interval, minInterval } = await announce(suite.threads.http[0], newInfoHash());
      assert.deepEqual([interval, minInterval], [1800, 900]);
    });

    test('counts as a connection and as an announce', async () => {
      await suite.threads.expectCounts(
        { tcp4_connections_handled: 1, tcp4_announces_handled: 1, tcp4_responses: 1 },
        () => announce(suite.threads.http[0], newInfoHash()),
      );
    });

    describe('gets as many peers as it wants, up to the maximum:', () => {
      const cases: readonly { maxPeers: number; numwant: string | null; peers: number }[] = [
        { maxPeers: 74, numwant: null, peers: 10 },
        { maxPeers: 74, numwant: '0', peers: 0 },
        { maxPeers: 74, numwant: '1', peers: 1 },
        { maxPeers: 74, numwant: '9', peers: 9 },
        { maxPeers: 74, numwant: '4294967295', peers: 10 },
        { maxPeers: 74, numwant: '-1', peers: 10 },
        { maxPeers: 5, numwant: null, peers: 5 },
        { maxPeers: 5, numwant: '-1', peers: 5 },
        { maxPeers: 5, numwant: '3', peers: 3 },
        { maxPeers: 5, numwant: '74', peers: 5 },
      ];
      for (const compact of ['0', '1']) {
        for (const { maxPeers, numwant, peers } of cases) {
          test(`${peers} of ten for numwant=${numwant} of ${maxPeers}, compact=${compact}`, async () => {
            suite.threads.configure({ core: { announce_policy: { max_peers_per_announce: maxPeers } } });
            const [http] = suite.threads.http;
            const infoHash = newInfoHash();
            for (let port = 1000; port < 1010; port++) {
              await announce(http, infoHash, { port, peer_id: percentEncode(peerId(port)) });
            }
            const own = { port: 9, peer_id: percentEncode(peerId(9)) };
            const reply = await announce(http, infoHash, { ...own, numwant, compact });
            assert.equal(new Set(reply.peers).size, peers);
            assert.equal(reply.complete, 11);
          });
        }
      }
    });

    describe('takes', () => {
      const infoHash = newInfoHash();
      const cases: Record<
        string,
        { parameters: Record<string, string | number | null>; complete: number; incomplete: number }
      > = {
        'a peer without "left" for a seeder': { parameters: { left: null }, complete: 1, incomplete: 0 },
        'a peer with something left for a leecher': { parameters: { left: 1 }, complete: 0, incomplete: 1 },
        'the largest counter': { parameters: { left: '9223372036854775807' }, complete: 0, incomplete: 1 },
        'port 0': { parameters: { port: 0 }, complete: 1, incomplete: 0 },
        'a plus before a number': { parameters: { port: '+80', left: '+5' }, complete: 0, incomplete: 1 },
        'leading zeros': { parameters: { port: '000080', left: '00' }, complete: 1, incomplete: 0 },
        'event=started': { parameters: { event: 'started' }, complete: 1, incomplete: 0 },
        'event=completed': { parameters: { event: 'completed' }, complete: 1, incomplete: 0 },
        'event=stopped': { parameters: { event: 'stopped' }, complete: 0, incomplete: 0 },
        'event=paused for none': { parameters: { event: 'paused' }, complete: 1, incomplete: 0 },
        'event=empty for none': { parameters: { event: 'empty' }, complete: 1, incomplete: 0 },
        'an empty event for none': { parameters: { event: '' }, complete: 1, incomplete: 0 },
        'names that mean nothing': {
          parameters: { supportcrypto: 1, key: 'abc', trackerid: '', '': 'x', no_peer_id: 1 },
          complete: 1,
          incomplete: 0,
        },
        'an ip that it does not believe': { parameters: { ip: '8.8.8.8' }, complete: 1, incomplete: 0 },
        'an ip that is none': { parameters: { ip: 'nonsense' }, complete: 1, incomplete: 0 },
      };
      for (const [title, { parameters, complete, incomplete }] of Object.entries(cases)) {
        test(title, async () => {
          const reply = await announce(suite.threads.http[0], newInfoHash(), parameters);
          assert.deepEqual([reply.complete, reply.incomplete], [complete, incomplete]);
        });
      }

      test('the first of repeated values', async () => {
        const target = `${announceTarget(infoHash, { left: 7 })}&left=0&port=x&info_hash=short`;
        const { body } = await get(suite.threads.http[0], target);
        assert.match(body, /^d8:completei0e10:incompletei1e/);
      });

      test('escapes in both cases, bad ones for themselves, and plus for plus', async () => {
        const stored = (hex: string) => suite.threads.store.peersOf(hex).length;
        const rest = '&peer_id=-TT0001-000000000001&port=1';
        const hex = `${Buffer.from('+%zzAZaz09').toString('hex')}abcdefabcdefabcdefab`;
        const target = `/announce?info_hash=+%zzAZaz09%aB%Cd%EF%ab%cd%ef%AB%CD%EF%ab${rest}`;
        await get(suite.threads.http[0], target);
        assert.equal(stored(hex), 1);
      });
    });

    describe('counts a download', () => {
      const cases: Record<string, { events: readonly string[]; downloads: number }> = {
        'not when "completed" comes first': { events: ['completed'], downloads: 0 },
        'when a known peer says so': { events: ['started', 'completed'], downloads: 1 },
        'once when it is said twice': { events: ['started', 'completed', 'completed'], downloads: 1 },
        'again after something else': { events: ['', 'completed', 'paused', 'completed'], downloads: 2 },
      };
      for (const [title, { events, downloads }] of Object.entries(cases)) {
        test(title, async () => {
          const infoHash = newInfoHash();
          const counts = {
            tcp4_connections_handled: events.length,
            tcp4_announces_handled: events.length,
            tcp4_responses: events.length,
            ...(downloads > 0 && { completed_downloads: downloads }),
          };
          await suite.threads.expectCounts(counts, async () => {
            for (const event of events) await announce(suite.threads.http[0], infoHash, { event });
          });
          const { body } = await get(suite.threads.http[0], `/scrape?info_hash=${percentEncode(infoHash)}`);
          assert.match(body, new RegExp(`10:downloadedi${downloads}e`));
        });
      }
    });

    test('shares its swarms with UDP', async (context) => {
      const [http] = suite.threads.http;
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const infoHash = newInfoHash();
      await client.announce(infoHash, { port: 1001, peerId: peerId(1) });
      const { peers } = await announce(http, infoHash, { port: 1002, peer_id: percentEncode(peerId(2)) });
      assert.deepEqual(peers, ['127.0.0.1:1001']);
      const reply = await client.announce(infoHash, { port: 1001, peerId: peerId(1) });
      assert.deepEqual(reply.peers, [{ address: '127.0.0.1', port: 1002 }]);
    });

    describe('tells peers apart by their addresses:', () => {
      const cases: Record<string, { port: number; id: number; from?: string; peers: readonly string[] }> = {
        'another peer id at the same address is the same peer': {
          port: 1001,
          id: 2,
          peers: ['127.0.0.1:1001'],
        },
        'the same peer id at another port has moved': { port: 1002, id: 1, peers: ['127.0.0.1:1002'] },
        'the same peer id at another address is another peer': {
          port: 1001,
          id: 1,
          from: '127.0.0.2',
          peers: ['127.0.0.1:1001', '127.0.0.2:1001'],
        },
      };
      for (const [title, { port, id, from = '127.0.0.1', peers }] of Object.entries(cases)) {
        test(title, async () => {
          const [http] = suite.threads.http;
          const infoHash = newInfoHash();
          await announce(http, infoHash, { port: 1001, peer_id: percentEncode(peerId(1)) });
          await announce(http, infoHash, { port, peer_id: percentEncode(peerId(id)) }, { from });
          const watcher = await announce(http, infoHash, { port: 9, peer_id: percentEncode(peerId(9)) });
          assert.deepEqual(watcher.peers.toSorted(), peers);
        });
      }
    });

    describe('is stored', () => {
      const cases: Record<string, { listener: number; ip: string | null; from?: string; stored: string }> = {
        'under the address of the connection': { listener: 0, ip: '8.8.8.8', stored: '127.0.0.1' },
        'under the external address where one is set': { listener: 1, ip: null, stored: '203.0.113.7' },
        'under the ip of the query where that is believed': { listener: 3, ip: '8.8.8.8', stored: '8.8.8.8' },
        'under an IPv6 address of the query': { listener: 3, ip: '2001:db8::1', stored: '2001:db8::1' },
        'under the address of the connection when the ip is none': {
          listener: 3,
          ip: 'nonsense',
          from: '127.0.0.3',
          stored: '127.0.0.3',
        },
      };
      for (const [title, { listener, ip, from = '127.0.0.1', stored }] of Object.entries(cases)) {
        test(title, async () => {
          const infoHash = newInfoHash();
          await announce(suite.threads.http[listener], infoHash, { port: 1001, ip }, { from });
          const watcher = { port: 9, peer_id: percentEncode(peerId(9)) };
          const { peers } = await announce(suite.threads.http[0], infoHash, watcher, { from: '127.0.0.8' });
          assert.deepEqual(peers, [`${stored}:1001`]);
        });
      }
    });

    test('is told its own address where that is wished', async () => {
      const { body } = await get(suite.threads.http[2], announceTarget(newInfoHash()), { from: '127.0.0.5' });
      assert.match(body, /^d8:completei1e11:external ip4:\x7f\0\0\x0510:incompletei0e/);
    });

    test('is told the address that others see where its own is replaced', async () => {
      const { body } = await get(suite.threads.http[4], announceTarget(newInfoHash()));
      assert.match(body, /^d8:completei1e11:external ip4:\xcb\0q\x0710:incompletei0e/);
    });

    test('that says "stopped" removes the peer, and is answered for an unknown torrent too', async () => {
      const [http] = suite.threads.http;
      const infoHash = newInfoHash();
      const unknown = await announce(http, infoHash, { event: 'stopped' });
      assert.deepEqual([unknown.complete, unknown.incomplete, unknown.peers], [0, 0, []]);
      await announce(http, infoHash);
      const last = await announce(http, infoHash, { event: 'stopped' });
      assert.deepEqual([last.complete, last.incomplete], [0, 0]);
    });
  });

  describe(`HTTP over both families with ${sockets} sockets`, needs('ipv6'), () => {
    const suite = threadsOfSuite(sockets, { http: [{ bind_address: '[::]:0' }] });
    const IPV4 = { to: '127.0.0.1' };

    test('names peers of both families, each in its place', async () => {
      const [http] = suite.threads.http;
      const infoHash = newInfoHash();
      await announce(http, infoHash, { port: 1001, peer_id: percentEncode(peerId(1)) }, IPV4);
      await announce(http, infoHash, { port: 1002, peer_id: percentEncode(peerId(2)) });
      const own = { port: 9, peer_id: percentEncode(peerId(9)) };
      const long = await announce(http, infoHash, own, IPV4);
      assert.deepEqual(long.peers.toSorted(), ['127.0.0.1:1001', '::1:1002']);
      assert.deepEqual(long.peerIds.toSorted(), [peerId(1).toString(), peerId(2).toString()]);
      const { body } = await get(http, announceTarget(infoHash, { ...own, compact: 1 }), IPV4);
      const ipv6 = `${'\0'.repeat(15)}\x01\x03\xea`;
      assert.ok(body.endsWith(`5:peers6:\x7f\0\0\x01\x03\xe96:peers618:${ipv6}e`), body);
    });

    test('counts each family for itself', async () => {
      const [http] = suite.threads.http;
      await suite.threads.expectCounts(
        { tcp6_connections_handled: 1, tcp6_announces_handled: 1, tcp6_responses: 1 },
        () => announce(http, newInfoHash()),
      );
      await suite.threads.expectCounts(
        { tcp4_connections_handled: 1, tcp4_announces_handled: 1, tcp4_responses: 1 },
        () => announce(http, newInfoHash(), {}, IPV4),
      );
      await suite.threads.expectCounts({ tcp6_errors_handled: 1, tcp6_responses: 1 }, () =>
        get(http, '/announce'),
      );
    });
  });
});
