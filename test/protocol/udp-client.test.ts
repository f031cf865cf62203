/**
 * The UDP tracker protocol, client side: golden datagrams, every cut, and agreement with the tracker's own reader.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { AnnounceRequest, type AddressFamily, type AnnounceEvent } from '../../tracker/protocol/model.ts';
import {
  decodeUdpReply,
  encodeAnnounceRequest,
  encodeConnectRequest,
  encodeScrapeRequest,
} from '../../tracker/protocol/udp-client.ts';
import {
  decodeAnnounce,
  hasProtocolId,
  PacketMemory,
  readAnnouncePort,
  readUrlData,
  UdpFault,
} from '../../tracker/protocol/udp.ts';
import vectors from '../vectors/udp-packets.json' with { type: 'json' };

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

function memoryWith(bytes: Uint8Array): PacketMemory {
  const memory = PacketMemory.allocate(4096);
  memory.bytes.set(bytes);
  return memory;
}

suite('a request is written', () => {
  const { connect, announces, scrape } = vectors.requests;
  const connectionId = BigInt(vectors.connectionId);

  test(connect.name, () => {
    const bytes = encodeConnectRequest(vectors.transactionId);
    assert.equal(hexOf(bytes), connect.hex);
    assert.ok(hasProtocolId(memoryWith(bytes), 0));
  });

  test(announces[0].name, () => {
    const bytes = encodeAnnounceRequest({
      connectionId,
      transactionId: vectors.transactionId,
      infoHash: bytesOf(announces[0].value.infoHash),
      peerId: Buffer.from(announces[0].value.peerId),
      downloadedBytes: 0n,
      leftBytes: 0n,
      uploadedBytes: 0n,
      event: 2,
      clientKey: 0,
      numWant: -1,
      port: 17548,
      urlData: '',
    });
    assert.equal(hexOf(bytes), announces[0].hex);
  });

  test(scrape.name, () => {
    const bytes = encodeScrapeRequest(connectionId, vectors.transactionId, scrape.infoHashes.map(bytesOf));
    assert.equal(hexOf(bytes), scrape.hex);
  });
});

suite('a reply is read', () => {
  for (const { name, hex, family, value } of Object.values(vectors.replies)) {
    test(name, () => {
      const reply = decodeUdpReply(bytesOf(hex), family as AddressFamily); // the vectors say 4 or 6
      const plain = reply.kind === 'connect' ? { ...reply, connectionId: String(reply.connectionId) } : reply;
      assert.deepEqual(plain, value);
    });
  }

  test('an error text that ends with a NUL', () => {
    const reply = decodeUdpReply(bytesOf(`${vectors.replies.error.hex}00`), 4);
    assert.equal(reply.kind === 'error' && reply.message, vectors.replies.error.value.message);
  });

  test('a connection id with the highest bit set is a negative number, as Torrust prints it', () => {
    const reply = decodeUdpReply(bytesOf('0000000000000001ffffffffffffffff'), 4);
    assert.deepEqual(reply, { kind: 'connect', transactionId: 1, connectionId: -1n });
  });
});

suite('a reply that is no reply', () => {
  const cases: [name: string, hex: string, family: AddressFamily, reason: string][] = [
    ['nothing', '', 4, '0 bytes are too few for a reply'],
    ['less than a head', '00000003000000', 4, '7 bytes are too few for a reply'],
    ['an unknown action', '0000000400000001', 4, 'action 4 is unknown'],
    [
      'IPv4 peers over IPv6',
      vectors.replies.announceIpv4.hex,
      6,
      'the peers of an announce reply are cut short',
    ],
  ];
  for (const [name, hex, family, reason] of cases) {
    test(name, () => assert.deepEqual(decodeUdpReply(bytesOf(hex), family), { kind: 'malformed', reason }));
  }
});

test('every cut of every reply is shorter or malformed, never something else', () => {
  for (const { hex, family, value } of Object.values(vectors.replies)) {
    const bytes = bytesOf(hex);
    for (let length = 0; length < bytes.length; length++) {
      const reply = decodeUdpReply(bytes.subarray(0, length), family as AddressFamily); // the vectors say 4 or 6
      assert.ok(reply.kind === 'malformed' || reply.kind === value.kind);
      assert.notDeepEqual(reply, value);
    }
  }
});

test('whatever comes, of any length from 0 to 255 and any action, is read without an exception', () => {
  for (let length = 0; length <= 255; length++) {
    for (let action = 0; action <= 4; action++) {
      const bytes = new Uint8Array(length).fill(0x41);
      bytes.set([0, 0, 0, action].slice(0, length));
      const { kind } = decodeUdpReply(bytes, 4);
      assert.ok(
        ['malformed', 'connect', 'announce', 'scrape', 'error'][action === 4 ? 0 : action + 1] === kind ||
          kind === 'malformed',
      );
    }
  }
});

test('what the client writes, the tracker reads', () => {
  const bytes20 = fc.uint8Array({ minLength: 20, maxLength: 20 });
  const counter = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
  const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });
  const latin1 = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  const announce = fc.record({
    connectionId: counter,
    transactionId: int32,
    infoHash: bytes20,
    peerId: bytes20,
    downloadedBytes: counter,
    leftBytes: counter,
    uploadedBytes: counter,
    event: fc.constantFrom<AnnounceEvent>(0, 1, 2, 3),
    clientKey: int32,
    numWant: int32,
    port: fc.integer({ min: 1, max: 0xffff }),
    urlData: latin1,
  });
  fc.assert(
    fc.property(announce, (sent) => {
      const bytes = encodeAnnounceRequest(sent);
      const memory = memoryWith(bytes);
      const request = new AnnounceRequest();
      assert.equal(decodeAnnounce(memory, 0, bytes.length, request), UdpFault.none);
      const counterAt = (word: number): bigint =>
        (BigInt(request.words[word]) << 32n) | BigInt.asUintN(32, BigInt(request.words[word + 1]));
      assert.deepEqual(request.bytes.subarray(0, 20), sent.infoHash);
      assert.deepEqual(request.bytes.subarray(20, 40), sent.peerId);
      assert.equal(counterAt(AnnounceRequest.DOWNLOADED_WORD), sent.downloadedBytes);
      assert.equal(counterAt(AnnounceRequest.LEFT_WORD), sent.leftBytes);
      assert.equal(counterAt(AnnounceRequest.UPLOADED_WORD), sent.uploadedBytes);
      assert.equal(request.event, sent.event);
      assert.equal(request.numWant, sent.numWant > 0 ? sent.numWant : -1);
      assert.equal(readAnnouncePort(memory, 0), sent.port);
      assert.equal(memory.view.getInt32(12), sent.transactionId);
      assert.equal(memory.view.getBigInt64(0), sent.connectionId);
      assert.equal(readUrlData(memory, 0, bytes.length), sent.urlData);
    }),
  );
});
