/**
 * Replies of the HTTP tracker, byte for byte, and within the bounds that they promise.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  decodeBencode,
  dictionaryEntry,
  encodeBencode,
  isBencodeList,
} from '../../tracker/protocol/bencode.ts';
import {
  announceReplyBound,
  encodeAnnounceReply,
  encodeFailure,
  encodeScrapeReplyEntry,
  encodeScrapeReplyHead,
  encodeScrapeReplyTail,
  failureBound,
  HttpAnnounceReply,
  scrapeReplyBound,
  type RetryIn,
} from '../../tracker/protocol/http-reply.ts';
import { readIpText } from '../../tracker/protocol/ip-text.ts';
import { PeerAddress, ScrapeEntry } from '../../tracker/protocol/model.ts';
import vectors from '../vectors/http-replies.json' with { type: 'json' };

const OFFSET = 5;

interface Peer {
  readonly ip: string;
  readonly port: number;
  readonly peerId: string;
}

function parseAddress(text: string): PeerAddress {
  const address = new PeerAddress();
  assert.ok(readIpText(Buffer.from(text), 0, text.length, address));
  return address;
}

/** Puts peers where the tracker puts them: endpoints by family, ids in one row with those of IPv4 first. */
function fillPeers(http: HttpAnnounceReply, peers: readonly Peer[]): void {
  const { reply } = http;
  const bytes = new Uint8Array(reply.halves.buffer);
  const ids = reply.peerIds === null ? null : new Uint8Array(reply.peerIds.buffer);
  const addresses = peers.map((peer) => ({ ...peer, address: parseAddress(peer.ip) }));
  const ipv4 = addresses.filter((peer) => peer.address.family === 4);
  const ipv6 = addresses.filter((peer) => peer.address.family === 6);
  reply.ipv4Peers = ipv4.length;
  reply.ipv6Peers = ipv6.length;
  for (const [family, list] of [ipv4, ipv6].entries()) {
    const addressBytes = family === 0 ? 4 : 16;
    for (const [i, peer] of list.entries()) {
      const at = 2 * (family === 0 ? reply.ipv4Half : reply.ipv6Half) + i * (addressBytes + 2);
      bytes.set(peer.address.bytes.subarray(0, addressBytes), at);
      bytes[at + addressBytes] = peer.port >>> 8;
      bytes[at + addressBytes + 1] = peer.port & 0xff;
      ids?.set(Buffer.from(peer.peerId, 'latin1'), 20 * (family === 0 ? i : ipv4.length + i));
    }
  }
}

/** The bytes that an encoder wrote, after checking that it stayed within its bound. */
function written(bound: number, encode: (out: Uint8Array) => number): string {
  const out = Buffer.alloc(OFFSET + bound + 100, 0xee);
  const length = encode(out);
  assert.ok(length <= bound, `${length} bytes, but at most ${bound} were promised`);
  assert.ok(out.subarray(0, OFFSET).every((byte) => byte === 0xee));
  assert.ok(out.subarray(OFFSET + length).every((byte) => byte === 0xee));
  return out.toString('latin1', OFFSET, OFFSET + length);
}

suite('an announce reply', () => {
  // One object for all, as in a worker: what one reply held must not show in the next.
  const http = new HttpAnnounceReply(8);
  for (const vector of vectors.announce) {
    test(vector.name, () => {
      http.prepare(vector.compact, 8);
      http.intervalSeconds = vector.interval;
      http.minIntervalSeconds = vector.minInterval;
      http.reply.seeders = vector.seeders;
      http.reply.leechers = vector.leechers;
      if (vector.externalIp !== null) http.externalIp = parseAddress(vector.externalIp);
      fillPeers(http, vector.peers);
      const text = written(announceReplyBound(vector.peers.length), (out) =>
        encodeAnnounceReply(out, OFFSET, http),
      );
      assert.equal(text, vector.reply);
    });
  }

  test('asks the tracker for peer ids in the long form only, and for no more peers than there is room for', () => {
    http.prepare(false, 3);
    assert.equal(http.reply.peersWanted, 3);
    assert.notEqual(http.reply.peerIds, null);
    http.prepare(true, 100);
    assert.equal(http.reply.peersWanted, 8);
    assert.equal(http.reply.peerIds, null);
  });

  test('with any peers is canonical bencoding within the bound and names exactly those peers', () => {
    const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => bytes.join('.'));
    const ipv6 = fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 }).map((groups) => {
      // The first group keeps the address from being a mapped one.
      const text = [0x2001, ...groups.slice(1)].map((group) => group.toString(16)).join(':');
      return new URL(`http://[${text}]/`).hostname.slice(1, -1);
    });
    const peer = fc.record(
      { ip: fc.oneof(ipv4, ipv6), port: fc.nat(0xffff), peerId: fc.string({ minLength: 20, maxLength: 20 }) },
      { noNullPrototype: true },
    );
    const peers = fc.array(peer, { maxLength: 20 });
    fc.assert(
      fc.property(peers, fc.nat(0x7fffffff), fc.nat(0x7fffffff), (list, seeders, leechers) => {
        const big = new HttpAnnounceReply(20);
        big.prepare(false, 20);
        Object.assign(big.reply, { seeders, leechers });
        fillPeers(big, list);
        const text = written(announceReplyBound(list.length), (out) => encodeAnnounceReply(out, OFFSET, big));
        const result = decodeBencode(Buffer.from(text, 'latin1'));
        assert.equal(result.kind, 'value');
        assert.equal(Buffer.from(encodeBencode(result.value)).toString('latin1'), text);
        assert.equal(dictionaryEntry(result.value, 'complete'), seeders);
        assert.equal(dictionaryEntry(result.value, 'incomplete'), leechers);
        const named = dictionaryEntry(result.value, 'peers');
        assert.ok(isBencodeList(named));
        const latin1 = (value: unknown): string => {
          assert.ok(value instanceof Uint8Array);
          return Buffer.from(value).toString('latin1');
        };
        const found = named.map((entry) => ({
          ip: latin1(dictionaryEntry(entry, 'ip')),
          port: dictionaryEntry(entry, 'port'),
          peerId: latin1(dictionaryEntry(entry, 'peer id')),
        }));
        const isV4 = (entry: Peer): boolean => !entry.ip.includes(':');
        assert.deepEqual(found, [...list.filter(isV4), ...list.filter((entry) => !isV4(entry))]);
      }),
    );
  });
});

suite('a scrape reply', () => {
  for (const vector of vectors.scrape) {
    test(vector.name, () => {
      const text = written(scrapeReplyBound(vector.entries.length), (out) => {
        let at = OFFSET + encodeScrapeReplyHead(out, OFFSET);
        for (const { hash, ...numbers } of vector.entries) {
          const entry = Object.assign(new ScrapeEntry(), numbers);
          at += encodeScrapeReplyEntry(out, at, Buffer.from(`ffff${hash}`, 'hex'), 2, entry);
        }
        return at + encodeScrapeReplyTail(out, at) - OFFSET;
      });
      assert.equal(text, vector.reply);
    });
  }

  test('with the largest numbers stays within its bound', () => {
    const entry = new ScrapeEntry();
    entry.seeders = entry.completed = entry.leechers = Number.MAX_SAFE_INTEGER;
    const text = written(scrapeReplyBound(1), (out) => {
      let at = OFFSET + encodeScrapeReplyHead(out, OFFSET);
      at += encodeScrapeReplyEntry(out, at, new Uint8Array(20), 0, entry);
      return at + encodeScrapeReplyTail(out, at) - OFFSET;
    });
    assert.match(
      text,
      /d8:completei9007199254740991e10:downloadedi9007199254740991e10:incompletei9007199254740991ee/,
    );
  });
});

suite('a failure', () => {
  for (const vector of vectors.failure) {
    test(vector.name, () => {
      // The JSON type of `retryIn` can't say that its only word is 'never'.
      const retryIn = vector.retryIn as RetryIn | undefined;
      const text = written(failureBound(vector.reason.length), (out) =>
        encodeFailure(out, OFFSET, vector.reason, retryIn),
      );
      assert.equal(text, vector.reply);
    });
  }
});
