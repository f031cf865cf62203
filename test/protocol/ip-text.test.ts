/**
 * IP addresses as text: written in their canonical form, and read as strictly as by Torrust Tracker.
 */
import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { readIpText, writeIpv4Text, writeIpv6Text } from '../../tracker/protocol/ip-text.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';

function write(bytes: Uint8Array): string {
  const out = Buffer.alloc(64, 0x23);
  const end = bytes.length === 4 ? writeIpv4Text(out, 1, bytes, 0) : writeIpv6Text(out, 1, bytes, 0);
  assert.equal(out[end], 0x23, 'nothing is written behind the text');
  return out.toString('latin1', 1, end);
}

/** Reads text that has other bytes around it; the address as hex, or null. */
function read(text: string): string | null {
  const bytes = Buffer.from(`1${text}:1`, 'latin1');
  const address = new PeerAddress();
  address.words.fill(-1);
  address.port = 77;
  const wasRead = readIpText(bytes, 1, 1 + text.length, address);
  assert.equal(address.port, 77);
  if (!wasRead) {
    assert.deepEqual([...address.words], [-1, -1, -1, -1], 'an address that is not read stays as it was');
    return null;
  }
  return Buffer.from(address.bytes.subarray(0, address.family === 4 ? 4 : 16)).toString('hex');
}

suite('an IPv6 address is written', () => {
  const texts = [
    '::',
    '::1',
    '1::',
    '2001:db8::1',
    '2001:db8:0:1:1:1:1:1',
    '2001:0:0:1::1',
    '2001:db8::1:0:0:1',
    '1:2:3:4:5:6:7:8',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    '0:1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:0',
    'fe80::a0b:c0d',
  ];
  for (const text of texts) {
    test(`as ${text}`, () => {
      const hex = read(text);
      assert.ok(hex !== null);
      assert.equal(write(Buffer.from(hex, 'hex')), text);
    });
  }
});

suite('an address is read', () => {
  const cases: Record<string, string> = {
    '0.0.0.0': '00000000',
    '192.0.2.255': 'c00002ff',
    '2001:DB8::a': '20010db800000000000000000000000a',
    '0001:02:3::': '00010002000300000000000000000000',
    '1:2:3:4:5:6:7::': '00010002000300040005000600070000',
    '::2:3:4:5:6:7:8': '00000002000300040005000600070008',
    '64:ff9b::192.0.2.33': '0064ff9b0000000000000000c0000221',
    '1:2:3:4:5:6:192.0.2.33': '000100020003000400050006c0000221',
    '::ffff:192.0.2.1': 'c0000201',
    '::FFFF:c000:201': 'c0000201',
    '0:0:0:0:0:ffff:1:2': '00010002',
  };
  for (const [text, hex] of Object.entries(cases))
    test(`${text} as ${hex}`, () => assert.equal(read(text), hex));
});

suite('no address is read', () => {
  const texts = [
    '',
    ' ',
    'localhost',
    '1.2.3',
    '1.2.3.4.',
    '1.2.3.4.5',
    '.1.2.3.4',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.0004',
    '1..2.3',
    '1.2.3.4:80',
    ' 1.2.3.4',
    '1.2.3.-4',
    ':',
    ':::',
    '1:',
    ':1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '1::2::3',
    '12345::',
    'g::',
    '[::1]',
    '::1%eth0',
    '::1/128',
    '1:2:3:4:5:6:7:1.2.3.4',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '::ffff:1.2.3',
  ];
  for (const text of texts) test(`from "${text}"`, () => assert.equal(read(text), null));
});

test('any IPv4 address is written and read back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
      assert.equal(write(bytes), bytes.join('.'));
      assert.equal(read(write(bytes)), Buffer.from(bytes).toString('hex'));
    }),
  );
});

test('any IPv6 address is written as the URL standard writes it, and read back', () => {
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const bytes = Uint8Array.from(groups.flatMap((value) => [value >>> 8, value & 0xff]));
      const full = groups.map((value) => value.toString(16)).join(':');
      assert.equal(`[${write(bytes)}]`, new URL(`http://[${full}]/`).hostname);
      const mapped = groups.slice(0, 5).every((value) => value === 0) && groups[5] === 0xffff;
      assert.equal(read(full), Buffer.from(bytes.subarray(mapped ? 12 : 0)).toString('hex'));
    }),
  );
});

test('text is an address exactly when Node takes it for one', () => {
  const part = fc.constantFrom(
    '0',
    '1',
    '10',
    '255',
    'ff',
    'ffff',
    '.',
    ':',
    ':',
    '::',
    '1.2.3.4',
    '2001:db8',
  );
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 16 }), (parts) => {
      const text = parts.join('');
      assert.equal(read(text) !== null, isIPv4(text) || isIPv6(text), text);
    }),
    { numRuns: 2000 },
  );
});
