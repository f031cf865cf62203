/**
 * The UDP tracker protocol, tracker side: golden datagrams, every fault, and every length of every action.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { AnnounceEvent, AnnounceRequest, HASH_BYTES, ScrapeEntry } from '../../tracker/protocol/model.ts';
import {
  ANNOUNCE_REQUEST_BYTES,
  checkScrape,
  decodeAnnounce,
  encodeAnnounceReplyHead,
  encodeConnectReply,
  encodeErrorReply,
  encodeScrapeReplyEntry,
  encodeScrapeReplyHead,
  hasProtocolId,
  PacketMemory,
  readAnnouncePort,
  readUrlData,
  REQUEST_HEAD_BYTES,
  UDP_FAULT_TEXTS,
  UdpFault,
} from '../../tracker/protocol/udp.ts';
import vectors from '../vectors/udp-packets.json' with { type: 'json' };

/** Packets stand somewhere inside the memory, between the bytes of others. */
const OFFSET = 64;
const SEEDER = vectors.requests.announces[0];

/** Memory of which every byte is taken, with `bytes` at `OFFSET`. */
function memoryWith(bytes: Uint8Array): PacketMemory {
  const memory = PacketMemory.allocate(2048);
  memory.bytes.fill(0xee);
  memory.bytes.set(bytes, OFFSET);
  return memory;
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

function faultName(fault: UdpFault): string | undefined {
  return Object.entries(UdpFault).find(([, value]) => value === fault)?.[0];
}

function signed64(words: Int32Array, word: number): string {
  return String((BigInt(words[word]) << 32n) | BigInt.asUintN(32, BigInt(words[word + 1])));
}

/** The bytes that an encoder wrote at `OFFSET`, as hex, after checking that it wrote nothing else. */
function written(encode: (memory: PacketMemory) => number): string {
  const memory = memoryWith(new Uint8Array());
  const end = OFFSET + encode(memory);
  assert.ok(memory.bytes.subarray(0, OFFSET).every((byte) => byte === 0xee));
  assert.ok(memory.bytes.subarray(end).every((byte) => byte === 0xee));
  return Buffer.from(memory.bytes.subarray(OFFSET, end)).toString('hex');
}

suite('an announce is read', () => {
  const request = new AnnounceRequest();
  for (const { name, hex, value } of vectors.requests.announces) {
    test(name, () => {
      const packet = fromHex(hex);
      const memory = memoryWith(packet);
      const fault = decodeAnnounce(memory, OFFSET, packet.length, request);
      const bytes = Buffer.from(request.bytes);
      assert.deepEqual(
        {
          fault: faultName(fault),
          infoHash: bytes.toString('hex', 0, HASH_BYTES),
          peerId: bytes.toString('latin1', HASH_BYTES, 2 * HASH_BYTES),
          downloaded: signed64(request.words, AnnounceRequest.DOWNLOADED_WORD),
          left: signed64(request.words, AnnounceRequest.LEFT_WORD),
          uploaded: signed64(request.words, AnnounceRequest.UPLOADED_WORD),
          event: Object.entries(AnnounceEvent).find(([, event]) => event === request.event)?.[0],
          numWant: request.numWant,
          port: readAnnouncePort(memory, OFFSET),
          urlData: readUrlData(memory, OFFSET, packet.length),
        },
        value,
      );
    });
  }
});

suite('an announce', () => {
  const patched = (offset: number, hex: string): Buffer => {
    const packet = fromHex(SEEDER.hex);
    packet.set(fromHex(hex), offset);
    return packet;
  };
  const decode = (packet: Uint8Array, request = new AnnounceRequest()): UdpFault =>
    decodeAnnounce(memoryWith(packet), OFFSET, packet.length, request);

  const events: [hex: string, fault: UdpFault, event: AnnounceEvent][] = [
    ['00000000', UdpFault.none, AnnounceEvent.none],
    ['00000001', UdpFault.none, AnnounceEvent.completed],
    ['00000002', UdpFault.none, AnnounceEvent.started],
    ['00000003', UdpFault.none, AnnounceEvent.stopped],
    ['00000004', UdpFault.none, AnnounceEvent.none],
    ['00000005', UdpFault.badEvent, AnnounceEvent.none],
    ['ffffffff', UdpFault.badEvent, AnnounceEvent.none],
    ['80000001', UdpFault.badEvent, AnnounceEvent.none],
  ];
  for (const [hex, fault, event] of events) {
    test(`with event ${hex}: ${faultName(fault)}, event ${event}`, () => {
      const request = new AnnounceRequest();
      assert.equal(decode(patched(80, hex), request), fault);
      assert.equal(request.event, event);
    });
  }

  const wants: [hex: string, numWant: number][] = [
    ['00000000', -1],
    ['ffffffff', -1],
    ['80000000', -1],
    ['00000001', 1],
    ['7fffffff', 0x7fffffff],
  ];
  for (const [hex, numWant] of wants) {
    test(`with num_want ${hex} wants ${numWant} peers`, () => {
      const request = new AnnounceRequest();
      assert.equal(decode(patched(92, hex), request), UdpFault.none);
      assert.equal(request.numWant, numWant);
    });
  }

  test('with port 0 is refused, and only with port 0', () => {
    assert.equal(decode(patched(96, '0000')), UdpFault.zeroPort);
    assert.equal(decode(patched(96, '0001')), UdpFault.none);
    assert.equal(decode(patched(96, '0100')), UdpFault.none);
  });

  test('is refused when shorter than 98 bytes, whatever stands behind it in memory', () => {
    const packet = fromHex(SEEDER.hex);
    for (let length = REQUEST_HEAD_BYTES; length <= 255; length++) {
      const expected = length < ANNOUNCE_REQUEST_BYTES ? UdpFault.announceTooShort : UdpFault.none;
      const request = new AnnounceRequest();
      assert.equal(decodeAnnounce(memoryWith(packet), OFFSET, length, request), expected, `${length} bytes`);
    }
  });

  test('that is refused leaves the last request as it was', () => {
    const request = new AnnounceRequest();
    decode(fromHex(SEEDER.hex), request);
    const before = [...request.words];
    const other = patched(16, 'ff'.repeat(40));
    other.set(fromHex('00000009'), 80);
    assert.equal(decode(other, request), UdpFault.badEvent);
    assert.deepEqual([...request.words], before);
  });
});

suite('URL data', () => {
  const option = (text: string): string =>
    `02${Buffer.from([text.length]).toString('hex')}${Buffer.from(text, 'latin1').toString('hex')}`;
  const cases: [name: string, options: string, text: string][] = [
    ['is empty without options', '', ''],
    ['is empty with an empty option', '0200', ''],
    ['ends at the end of options', `${option('/a')}00${option('/b')}`, '/a'],
    ['skips padding', `0101${option('/a')}01`, '/a'],
    ['is joined from several options', option('x'.repeat(255)) + option('y'), `${'x'.repeat(255)}y`],
    ['ends before an option that is cut short', `${option('/a')}0203ffff`, '/a'],
    ['ends before an option without a length', `${option('/a')}02`, '/a'],
    ['ends before an unknown option', `${option('/a')}0301ff${option('/b')}`, '/a'],
    ['is latin1', option('\u00e9'), '\u00e9'],
  ];
  for (const [name, options, text] of cases) {
    test(name, () => {
      const packet = fromHex(SEEDER.hex + options);
      assert.equal(readUrlData(memoryWith(packet), OFFSET, packet.length), text);
    });
  }

  test('is read within the datagram, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (options) => {
        const packet = Buffer.concat([fromHex(SEEDER.hex), options]);
        const text = readUrlData(memoryWith(packet), OFFSET, packet.length);
        assert.ok(Buffer.from(options).toString('latin1').includes(text.slice(0, 255)));
        assert.ok(text.length <= Math.max(options.length - 2, 0));
      }),
    );
  });
});

test('a connect is recognised by its protocol id', () => {
  const packet = fromHex(vectors.requests.connect.hex);
  assert.ok(hasProtocolId(memoryWith(packet), OFFSET));
  for (let i = 0; i < 8; i++) {
    const other = Uint8Array.from(packet);
    other[i] ^= 0x80;
    assert.ok(!hasProtocolId(memoryWith(other), OFFSET), `byte ${i}`);
  }
});

test('a scrape of any length is a list of whole info hashes or refused', () => {
  for (let length = REQUEST_HEAD_BYTES; length <= 255; length++) {
    const rest = length - REQUEST_HEAD_BYTES;
    const expected =
      rest === 0
        ? UdpFault.scrapeWithoutHash
        : rest % 20 === 0
          ? UdpFault.none
          : UdpFault.scrapeWithPartialHash;
    assert.equal(checkScrape(length), expected, `${length} bytes`);
  }
});

test('every fault has the words of Torrust Tracker', () => {
  assert.deepEqual(
    Object.fromEntries(Object.entries(UdpFault).map(([name, fault]) => [name, UDP_FAULT_TEXTS[fault]])),
    {
      none: '',
      badProtocolId: 'bad request: Protocol identifier missing',
      badAction: 'bad request: Invalid action',
      announceTooShort: 'bad request: invalid data',
      zeroPort: "bad request: Port can't be 0",
      badEvent: 'bad request: Invalid announce event',
      scrapeWithoutHash: 'bad request: Full scrapes are not allowed',
      scrapeWithPartialHash: 'bad request: Invalid info hash list',
    },
  );
});

suite('a reply is written', () => {
  const { transactionId } = vectors;
  const { connect, announceIpv4, scrape, error } = vectors.replies;

  test(connect.name, () => {
    const hex = written((memory) =>
      encodeConnectReply(memory, OFFSET, transactionId, 0x01234567, 0x89abcdef | 0),
    );
    assert.equal(hex, connect.hex);
  });

  test(announceIpv4.name, () => {
    const hex = written((memory) => {
      encodeAnnounceReplyHead(memory, OFFSET, transactionId, 120, 2, 3);
      return 20;
    });
    assert.equal(hex, announceIpv4.hex.slice(0, 40));
  });

  test(scrape.name, () => {
    const hex = written((memory) => {
      encodeScrapeReplyHead(memory, OFFSET, transactionId);
      for (const [i, numbers] of scrape.value.entries.entries()) {
        encodeScrapeReplyEntry(memory, OFFSET, i, Object.assign(new ScrapeEntry(), numbers));
      }
      return 8 + 12 * scrape.value.entries.length;
    });
    assert.equal(hex, scrape.hex);
  });

  test(`${error.name}, cut to any limit`, () => {
    const text = error.value.message;
    for (let limit = 0; limit <= 100; limit++) {
      const hex = written((memory) => encodeErrorReply(memory, OFFSET, transactionId, text, limit));
      assert.equal(hex, limit < 8 ? '' : error.hex.slice(0, 2 * limit), `at most ${limit} bytes`);
    }
  });
});
