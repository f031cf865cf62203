/** Kinds of addresses: what the registries set apart, what a configuration lists, and both together. */
import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AddressClass, AddressRanges } from '../tracker/address-ranges.ts';
import { writeIpv4Text, writeIpv6Text } from '../tracker/protocol/ip-text.ts';
import { PeerAddress } from '../tracker/protocol/model.ts';
import { addressOf } from './support/addresses.ts';

describe('knows by itself', () => {
  const { loopback, private: rfc1918, shared, linkLocal, uniqueLocal } = AddressClass;
  const cases: Record<string, number> = {
    '126.255.255.255': 0,
    '127.0.0.0': loopback,
    '127.255.255.255': loopback,
    '128.0.0.0': 0,
    '::1': loopback,
    '::2': 0,
    '9.255.255.255': 0,
    '10.0.0.0': rfc1918,
    '10.255.255.255': rfc1918,
    '11.0.0.0': 0,
    '172.15.255.255': 0,
    '172.16.0.0': rfc1918,
    '172.31.255.255': rfc1918,
    '172.32.0.0': 0,
    '192.168.0.0': rfc1918,
    '192.169.0.0': 0,
    '100.63.255.255': 0,
    '100.64.0.0': shared,
    '100.127.255.255': shared,
    '100.128.0.0': 0,
    '169.254.255.255': linkLocal,
    'fe7f:ffff::': 0,
    'fe80::1': linkLocal,
    'febf:ffff::': linkLocal,
    'fec0::': 0,
    'fbff::': 0,
    'fc00::': uniqueLocal,
    'fdff:ffff::1': uniqueLocal,
    'fe00::': 0,
    '0.0.0.0': 0,
    '255.255.255.255': 0,
    '::': 0,
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff': 0,
    '::ffff:10.1.2.3': rfc1918,
    '2001:db8::1': 0,
  };
  const ranges = new AddressRanges([]);
  for (const [text, classes] of Object.entries(cases)) {
    test(`${text} as ${classes}`, () => assert.equal(ranges.classesOf(addressOf(text)), classes));
  }
});

test('adds up ranges that overlap, with those that are always known', () => {
  const { cluster, proxy, private: rfc1918 } = AddressClass;
  const ranges = new AddressRanges([
    { range: '10.96.0.0/12', classes: cluster },
    { range: '10.96.0.0/12', classes: cluster },
    { range: '10.100.0.0/16', classes: proxy },
    { range: '203.0.113.7/32', classes: proxy },
    { range: '::ffff:198.51.100.0/120', classes: cluster },
    { range: '2001:db8::/64', classes: cluster },
  ]);
  const classesOf = (text: string) => ranges.classesOf(addressOf(text));
  assert.equal(classesOf('10.95.255.255'), rfc1918);
  assert.equal(classesOf('10.96.0.0'), rfc1918 | cluster);
  assert.equal(classesOf('10.100.0.1'), rfc1918 | cluster | proxy);
  assert.equal(classesOf('10.101.0.0'), rfc1918 | cluster);
  assert.equal(classesOf('10.112.0.0'), rfc1918);
  assert.equal(classesOf('203.0.113.7'), proxy);
  assert.equal(classesOf('203.0.113.8'), 0);
  assert.equal(classesOf('198.51.100.255'), cluster);
  assert.equal(classesOf('2001:db8:0:0:ffff::'), cluster);
  assert.equal(classesOf('2001:db8:0:1::'), 0);
});

test('covers all addresses when it is told so', () => {
  const ranges = new AddressRanges([
    { range: '0.0.0.0/0', classes: AddressClass.proxy },
    { range: '::/0', classes: AddressClass.cluster },
  ]);
  for (const text of ['0.0.0.0', '8.8.8.8', '255.255.255.255']) {
    assert.equal(ranges.classesOf(addressOf(text)), AddressClass.proxy);
  }
  for (const text of ['::', '2001:db8::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']) {
    assert.equal(ranges.classesOf(addressOf(text)), AddressClass.cluster);
  }
});

test('covers a network when each of its addresses is listed for something that is asked', () => {
  const { cluster, proxy, private: rfc1918, exemptFromBans } = AddressClass;
  const ranges = new AddressRanges([
    { range: '203.0.113.0/32', classes: exemptFromBans },
    { range: '203.0.113.255/32', classes: exemptFromBans },
    { range: '198.51.100.0/25', classes: cluster },
    { range: '198.51.100.128/25', classes: proxy },
    { range: '2001:db8::/65', classes: proxy },
  ]);
  const covers = (text: string, bits: number, classes: number) =>
    ranges.coverNetwork(addressOf(text), bits / 8, classes);
  assert.equal(covers('203.0.113.0', 32, exemptFromBans), true);
  assert.equal(covers('203.0.113.0', 24, exemptFromBans), false);
  assert.equal(covers('198.51.100.7', 24, cluster | proxy), true);
  assert.equal(covers('198.51.100.7', 24, cluster), false);
  assert.equal(covers('10.1.2.3', 24, rfc1918), true);
  assert.equal(covers('11.1.2.3', 24, rfc1918), false);
  assert.equal(covers('2001:db8::1', 64, proxy), false);
  assert.equal(covers('2001:db8::1', 128, proxy), true);
  assert.equal(covers('fe80::1', 64, AddressClass.linkLocal), true);
});

test('agrees with the lists of Node, whatever the ranges', () => {
  // Few distinct bytes, so that ranges meet each other and the addresses that are asked.
  const byte = fc.constantFrom(0, 1, 9, 10, 11, 127, 128, 255);
  const ipv4 = fc.array(byte, { minLength: 4, maxLength: 4 });
  const ipv6 = fc.array(byte, { minLength: 16, maxLength: 16 });
  const range = fc.oneof(
    fc.record({ bytes: ipv4, bits: fc.integer({ min: 0, max: 32 }) }),
    fc.record({ bytes: ipv6, bits: fc.integer({ min: 0, max: 128 }) }),
  );
  const listed = fc.record({ range, bit: fc.integer({ min: 5, max: 10 }) });
  fc.assert(
    fc.property(fc.array(listed), fc.array(fc.oneof(ipv4, ipv6), { minLength: 1 }), (lists, asked) => {
      // Node takes an IPv4 address for an IPv6 one as well, so that each family has lists of its own.
      const blocks = lists.map(({ range: { bytes, bits }, bit }) => {
        const list = new BlockList();
        const family = bytes.length === 4 ? 4 : 6;
        list.addSubnet(textOf(bytes), bits, `ipv${family}`);
        return { list, family, bit };
      });
      const ranges = new AddressRanges(
        lists.map(({ range: { bytes, bits }, bit }) => ({
          range: `${textOf(bytes)}/${bits}`,
          classes: 1 << bit,
        })),
      );
      for (const bytes of asked) {
        const address = addressOfBytes(bytes);
        const text = textOf(bytes);
        const expected = blocks
          .filter(({ list, family }) => family === address.family && list.check(text, `ipv${family}`))
          .reduce((sum, { bit }) => sum | (1 << bit), 0);
        assert.equal(ranges.classesOf(address) & ~31, expected, text);
      }
    }),
  );
});

function addressOfBytes(bytes: readonly number[]): PeerAddress {
  const address = new PeerAddress();
  address.bytes.set(bytes);
  address.family = bytes.length === 4 ? 4 : 6;
  return address;
}

function textOf(bytes: readonly number[]): string {
  const out = Buffer.alloc(64);
  const write = bytes.length === 4 ? writeIpv4Text : writeIpv6Text;
  return out.toString('latin1', 0, write(out, 0, Uint8Array.from(bytes), 0));
}
