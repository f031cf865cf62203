/** PROXY protocol headers: what is understood, what is refused, and that a part of one is never taken for the whole. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { writeIpv4Text, writeIpv6Text } from '../../tracker/protocol/ip-text.ts';
import {
  looksLikeProxyHeader,
  MAX_PROXY_HEADER_BYTES,
  type ProxiedTransport,
  ProxyHeader,
  ProxyHeaderState,
  readProxyHeader,
} from '../../tracker/protocol/proxy-protocol.ts';
import { headerV1, headerV2 } from '../support/proxy-headers.ts';

const { complete, incomplete } = ProxyHeaderState;
const REQUEST = Buffer.from('GET / HTTP/1.1\r\n\r\n');

/** What a header says: client or `-`, and its bytes; or the state. */
function read(bytes: Uint8Array, transport: ProxiedTransport = 'stream'): string {
  const header = new ProxyHeader();
  // Not at the start of the memory.
  const memory = Buffer.concat([Buffer.from('xxxxx'), bytes]);
  const state = readProxyHeader(memory, 5, memory.length, transport, header);
  if (state !== complete) return state === incomplete ? 'incomplete' : 'bad';
  const text = Buffer.alloc(64);
  const { client } = header;
  const write = client.family === 4 ? writeIpv4Text : writeIpv6Text;
  const name = header.namesClient
    ? `${text.toString('latin1', 0, write(text, 0, client.bytes, 0))} ${client.port}`
    : '-';
  return `${name} ${header.end - 5}`;
}

const v1 = (text: string) => Buffer.from(`${text}\r\n`, 'latin1');
const tlvs = Buffer.from('0400010003000401020304', 'hex');
const changed = (bytes: Buffer, at: number, ...values: number[]) => {
  const copy = Buffer.from(bytes);
  copy.set(values, at);
  return copy;
};
const tcp4 = headerV2('stream', '192.0.2.1', 6881);
const udp4 = headerV2('datagram', '192.0.2.1', 6881);

describe('A header in front of a connection', () => {
  const cases: Record<string, readonly [Uint8Array, string]> = {
    'of version 1 names an IPv4 client': [headerV1('192.0.2.1', 6881), '192.0.2.1 6881 42'],
    'of version 1 names an IPv6 client': [headerV1('2001:db8::1', 65535), '2001:db8::1 65535 47'],
    'of version 1 may know of no client': [v1('PROXY UNKNOWN'), '- 15'],
    'of version 1 may know of no client and say more': [v1('PROXY UNKNOWN ffff::1 x 1 2'), '- 29'],
    'of version 1 may be 107 bytes long': [v1(`PROXY UNKNOWN ${'f'.repeat(91)}`), '- 107'],
    'of version 1 may not be longer': [v1(`PROXY UNKNOWN ${'f'.repeat(92)}`), 'bad'],
    'of version 1 without an end is refused after 107 bytes': [Buffer.alloc(107, 'PROXY UNKNOWN '), 'bad'],
    'of version 1 needs both families alike': [v1('PROXY TCP4 192.0.2.1 2001:db8::1 1 2'), 'bad'],
    'of version 1 needs the family that it says': [v1('PROXY TCP6 192.0.2.1 192.0.2.2 1 2'), 'bad'],
    'of version 1 knows no other family': [v1('PROXY TCP5 192.0.2.1 192.0.2.2 1 2'), 'bad'],
    'of version 1 is not for datagrams': [v1('PROXY UDP4 192.0.2.1 192.0.2.2 1 2'), 'bad'],
    'of version 1 has one space between words': [v1('PROXY TCP4 192.0.2.1  192.0.2.2 1 2'), 'bad'],
    'of version 1 has none behind': [v1('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 '), 'bad'],
    'of version 1 lacks nothing': [v1('PROXY TCP4 192.0.2.1 192.0.2.2 1'), 'bad'],
    'of version 1 has plain ports': [v1('PROXY TCP4 192.0.2.1 192.0.2.2 01 2'), 'bad'],
    'of version 1 has ports that fit': [v1('PROXY TCP4 192.0.2.1 192.0.2.2 1 65536'), 'bad'],
    'of version 1 has ports of digits': [v1('PROXY TCP4 192.0.2.1 192.0.2.2 +1 2'), 'bad'],
    'of version 1 has plain addresses': [v1('PROXY TCP4 192.0.2.01 192.0.2.2 1 2'), 'bad'],
    'of version 1 is in upper case': [v1('proxy TCP4 192.0.2.1 192.0.2.2 1 2'), 'bad'],
    'of version 1 ends with CR and LF': [Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n'), 'bad'],
    'of version 1 has nothing but LF behind CR': [Buffer.from('PROXY UNKNOWN\rx'), 'bad'],
    'of version 2 names an IPv4 client': [tcp4, '192.0.2.1 6881 28'],
    'of version 2 names an IPv6 client': [headerV2('stream', '2001:db8::1', 1), '2001:db8::1 1 52'],
    'of version 2 with a mapped address names an IPv4 client': [
      headerV2('stream', '::ffff:192.0.2.1', 1),
      '192.0.2.1 1 52',
    ],
    'of version 2 may have TLVs': [headerV2('stream', '192.0.2.1', 6881, { tlvs }), '192.0.2.1 6881 39'],
    'of version 2 may be 4096 bytes long': [
      headerV2('stream', '192.0.2.1', 1, { tlvs: Buffer.alloc(MAX_PROXY_HEADER_BYTES - 28) }),
      '192.0.2.1 1 4096',
    ],
    'of version 2 may not be longer': [
      headerV2('stream', '192.0.2.1', 1, { tlvs: Buffer.alloc(MAX_PROXY_HEADER_BYTES - 27) }),
      'bad',
    ],
    'of version 2 may be of the proxy itself': [headerV2('stream', '192.0.2.1', 1, { command: 0 }), '- 28'],
    'of version 2 of the proxy itself may name any family': [changed(tcp4, 12, 0x20, 0x7f), '- 28'],
    'of version 2 may know of no client': [changed(tcp4, 13, 0), '- 28'],
    'of version 2 for a datagram is not for connections': [udp4, 'bad'],
    'of version 2 is of no Unix socket': [changed(tcp4, 13, 0x31), 'bad'],
    'of version 2 has a known family': [changed(tcp4, 13, 0x41), 'bad'],
    'of version 2 has a known transport': [changed(tcp4, 13, 0x13), 'bad'],
    'of version 2 has a family with its transport': [changed(tcp4, 13, 0x01), 'bad'],
    'of version 2 has a known command': [changed(tcp4, 12, 0x22), 'bad'],
    'of another version is refused': [changed(tcp4, 12, 0x11), 'bad'],
    'of version 2 has room for its addresses': [changed(tcp4, 14, 0, 11), 'bad'],
    'is there': [REQUEST, 'bad'],
  };
  for (const [title, [bytes, expected]] of Object.entries(cases)) {
    test(title, () => {
      assert.equal(read(bytes), expected);
      // What comes behind it is no part of it.
      if (expected !== 'bad') assert.equal(read(Buffer.concat([bytes, REQUEST])), expected);
      for (let length = 0; length < bytes.length; length++) {
        const part = read(bytes.subarray(0, length));
        assert.ok(
          part === 'incomplete' || (part === 'bad' && expected === 'bad'),
          `${length} bytes: ${part}`,
        );
      }
    });
  }
});

describe('A header in front of a datagram', () => {
  const cases: Record<string, readonly [Uint8Array, string]> = {
    'names an IPv4 client': [udp4, '192.0.2.1 6881 28'],
    'names an IPv6 client': [headerV2('datagram', '2001:db8::1', 1, { tlvs }), '2001:db8::1 1 63'],
    'may be of the proxy itself': [changed(udp4, 12, 0x20), '- 28'],
    'is not one for a connection': [tcp4, 'bad'],
    'is not of version 1': [headerV1('192.0.2.1', 6881), 'bad'],
  };
  for (const [title, [bytes, expected]] of Object.entries(cases)) {
    test(title, () => {
      assert.equal(read(bytes, 'datagram'), expected);
      // The rest will never come.
      for (let length = 0; length < bytes.length; length++) {
        assert.equal(read(bytes.subarray(0, length), 'datagram'), 'bad');
      }
    });
  }
});

test('reads what was written, whatever the client', () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((text) => !text.includes('.')),
  );
  const port = fc.integer({ min: 0, max: 65535 });
  fc.assert(
    fc.property(address, port, fc.uint8Array({ maxLength: 200 }), (client, at, more) => {
      const canonical = new URL(client.includes(':') ? `http://[${client}]/` : `http://${client}/`);
      const expected = `${canonical.hostname.replace(/[[\]]/g, '')} ${at}`;
      const v2 = headerV2('stream', client, at, { tlvs: more });
      // The mapped ones have a test of their own.
      fc.pre(!expected.startsWith('::ffff:'));
      assert.equal(read(v2), `${expected} ${v2.length}`);
      const first = headerV1(client, at);
      assert.equal(read(first), first.length > 107 ? 'bad' : `${expected} ${first.length}`);
    }),
  );
});

test('judges no header otherwise for having got it in pieces, and reads not beyond what is there', () => {
  const good = [tcp4, udp4, headerV1('2001:db8::1', 6881), headerV2('stream', '2001:db8::1', 1, { tlvs })];
  const mutated = fc
    .record({
      base: fc.constantFrom(...good),
      changes: fc.array(fc.tuple(fc.nat(70), fc.nat(255)), { maxLength: 3 }),
      behind: fc.uint8Array({ maxLength: 20 }),
    })
    .map(({ base, changes, behind }) => {
      const bytes = Buffer.concat([base, behind]);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  const transports = fc.constantFrom<ProxiedTransport>('stream', 'datagram');
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), transports, (bytes, transport) => {
      const whole = read(bytes, transport);
      if (transport === 'datagram') assert.notEqual(whole, 'incomplete');
      if (whole !== 'bad' && whole !== 'incomplete') {
        assert.ok(Number(whole.split(' ').at(-1)) <= bytes.length);
      }
      if (transport === 'datagram') return;
      for (let length = 0; length < bytes.length; length++) {
        const part = read(bytes.subarray(0, length), transport);
        assert.ok(part === 'incomplete' || part === whole, `${length} bytes: ${part}, then ${whole}`);
      }
    }),
    { numRuns: 500 },
  );
});

test('knows what looks like a header, for those who may send none', () => {
  for (const header of [tcp4, headerV1('192.0.2.1', 1), v1('PROXY nonsense')]) {
    assert.ok(looksLikeProxyHeader(header, 0, header.length));
  }
  assert.equal(looksLikeProxyHeader(tcp4, 0, 11), false);
  assert.equal(looksLikeProxyHeader(REQUEST, 0, REQUEST.length), false);
});
