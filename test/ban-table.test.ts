/** The table of bans against a plain list, between threads' views, and when it is full. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Ban, BanReason, BanTable, isBanPrefix, MAX_BANS } from '../tracker/ban-table.ts';
import { writeIpv4Text, writeIpv6Text } from '../tracker/protocol/ip-text.ts';
import { addressOf, ipv4Address } from './support/addresses.ts';

const { byHand, wrongConnectionIds, none } = BanReason;

function banOf(text: string, prefixBits: number, more: Partial<Ban> = {}): Ban {
  return { address: addressOf(text), prefixBits, reason: byHand, beginSeconds: 100, endSeconds: 0, ...more };
}

/** A ban as one line; networks by their first address. */
function lineOf({ address, prefixBits, reason, beginSeconds, endSeconds }: Ban): string {
  const out = Buffer.alloc(64);
  const write = address.family === 4 ? writeIpv4Text : writeIpv6Text;
  const text = out.toString('latin1', 0, write(out, 0, address.bytes, 0));
  return `${text}/${prefixBits} ${reason} ${beginSeconds}-${endSeconds}`;
}

describe('A table of bans', () => {
  test('bans an address in every thread, until its end', () => {
    const table = BanTable.create();
    const other = BanTable.attach(table.memory);
    assert.equal(table.add(banOf('203.0.113.1', 32, { endSeconds: 200 })), true);
    assert.equal(other.reasonOf(addressOf('203.0.113.1', 1), 199.9), byHand);
    assert.equal(other.reasonOf(addressOf('203.0.113.1'), 200), none);
    assert.equal(other.reasonOf(addressOf('203.0.113.2'), 150), none);
    assert.equal(other.size, 1);
    assert.equal(other.remove(addressOf('203.0.113.1'), 32), true);
    assert.equal(table.size, 0);
    assert.equal(table.remove(addressOf('203.0.113.1'), 32), false);
  });

  test('bans a whole /24 and a whole /64, and nothing beside them', () => {
    const table = BanTable.create();
    table.add(banOf('203.0.113.77', 24));
    table.add(banOf('2001:db8::77', 64));
    const reasonOf = (text: string) => table.reasonOf(addressOf(text), 150);
    assert.deepEqual(['203.0.113.0', '203.0.113.255', '2001:db8::', '2001:db8::ffff:0:0:1'].map(reasonOf), [byHand, byHand, byHand, byHand]); // prettier-ignore
    assert.deepEqual(['203.0.112.255', '203.0.114.0', '2001:db8:0:1::'].map(reasonOf), [none, none, none]);
    assert.deepEqual(table.list().map(lineOf).toSorted(), [
      '2001:db8::/64 2 100-0',
      '203.0.113.0/24 2 100-0',
    ]);
    assert.equal(table.remove(addressOf('203.0.113.5'), 32), false);
    assert.equal(table.remove(addressOf('203.0.113.5'), 24), true);
    assert.equal(reasonOf('203.0.113.77'), none);
  });

  test('knows four kinds of prefixes', () => {
    const known = ([4, 6] as const).flatMap((family) =>
      Array.from({ length: 130 }, (_, bits) => [family, bits] as const).filter(([, bits]) =>
        isBanPrefix(family, bits),
      ),
    );
    assert.deepEqual(known, [[4, 24], [4, 32], [6, 64], [6, 128]]); // prettier-ignore
  });

  test('lets what somebody decided stand when the tracker would ban by itself', () => {
    const table = BanTable.create();
    table.add(banOf('203.0.113.1', 32));
    table.add(banOf('203.0.113.1', 32, { reason: wrongConnectionIds, endSeconds: 200 }));
    assert.deepEqual(table.list().map(lineOf), ['203.0.113.1/32 2 100-0']);
    table.add(banOf('203.0.113.1', 32, { beginSeconds: 150, endSeconds: 160 }));
    assert.deepEqual(table.list().map(lineOf), ['203.0.113.1/32 2 150-160']);
  });

  test('holds for a network that is banned by hand when one of its addresses was banned for wrong ids', () => {
    const table = BanTable.create();
    for (const text of ['203.0.113.1', '2001:db8::1']) {
      const bits = text.includes(':') ? 128 : 32;
      table.add(banOf(text, bits, { reason: wrongConnectionIds, endSeconds: 200 }));
      assert.equal(table.reasonOf(addressOf(text), 150), wrongConnectionIds);
      table.add(banOf(text, bits === 32 ? 24 : 64));
      assert.equal(table.reasonOf(addressOf(text), 150), byHand);
      table.remove(addressOf(text), bits === 32 ? 24 : 64);
      assert.equal(table.reasonOf(addressOf(text), 150), wrongConnectionIds);
    }
  });

  test('does what a list of bans does', () => {
    const addresses = [
      '203.0.113.1',
      '203.0.113.2',
      '203.0.114.1',
      '2001:db8::1',
      '2001:db8::2',
      '2001:db8:0:1::1',
    ];
    const scope = fc
      .record({ text: fc.constantFrom(...addresses), isNetwork: fc.boolean() })
      .map(({ text, isNetwork }) => ({
        text,
        bits: text.includes(':') ? (isNetwork ? 64 : 128) : isNetwork ? 24 : 32,
      }));
    const add = fc.record({
      kind: fc.constant('add' as const),
      scope,
      reason: fc.constantFrom(byHand, wrongConnectionIds),
      seconds: fc.integer({ min: 0, max: 50 }),
    });
    const remove = fc.record({ kind: fc.constant('remove' as const), scope });
    const wait = fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 30 }) });
    const pardon = fc.record({ kind: fc.constant('pardon' as const) });
    fc.assert(
      fc.property(fc.array(fc.oneof(add, remove, wait, pardon)), (steps) => {
        const table = BanTable.create();
        const model = new Map<string, Ban>();
        let now = 1000;
        const networkOf = (text: string, bits: number) => {
          const zeroed =
            bits === 24 ? text.replace(/\d+$/, '0') : bits === 64 ? text.replace(/::\d$/, '::') : text;
          return `${zeroed}/${bits}`;
        };
        for (const step of steps) {
          if (step.kind === 'wait') now += step.seconds;
          else if (step.kind === 'pardon') {
            table.removeWhere(({ reason }) => reason === wrongConnectionIds);
            for (const [key, ban] of model) if (ban.reason === wrongConnectionIds) model.delete(key);
          } else if (step.kind === 'remove') {
            const { text, bits } = step.scope;
            assert.equal(table.remove(addressOf(text), bits), model.delete(networkOf(text, bits)));
          } else {
            const { text, bits } = step.scope;
            const end = step.seconds === 0 ? 0 : now + step.seconds;
            const ban = banOf(text, bits, { reason: step.reason, beginSeconds: now, endSeconds: end });
            const key = networkOf(text, bits);
            if (model.get(key)?.reason !== byHand || step.reason === byHand) model.set(key, ban);
            assert.equal(table.add(ban), true);
          }
          assert.equal(table.size, model.size);
          for (const text of addresses) {
            const bits = text.includes(':') ? [128, 64] : [32, 24];
            const reasons = bits
              .map((each) => model.get(networkOf(text, each)))
              .filter((ban) => ban !== undefined && (ban.endSeconds === 0 || ban.endSeconds > now))
              .map((ban) => ban?.reason);
            const expected = reasons.includes(byHand) ? byHand : (reasons[0] ?? none);
            assert.equal(table.reasonOf(addressOf(text), now), expected);
          }
        }
        assert.equal(table.list().length, model.size);
      }),
    );
  });

  test('keeps to its size under a flood of bans, and never gives up one that somebody decided', () => {
    const table = BanTable.create();
    const decided = Array.from({ length: 1000 }, (_, i) => ipv4Address(0x50000000 + i * 7919));
    for (const address of decided) assert.ok(table.add({ address, prefixBits: 32, reason: byHand, beginSeconds: 1, endSeconds: 0 })); // prettier-ignore
    const flood = { prefixBits: 32, reason: wrongConnectionIds, beginSeconds: 2, endSeconds: 500 };
    for (let i = 0; i < 300_000; i++) table.add({ ...flood, address: ipv4Address(0x08000000 + i) });
    assert.equal(table.size, MAX_BANS);
    assert.equal(table.add({ ...flood, address: ipv4Address(0x70000000) }), false);
    for (const address of decided) assert.equal(table.reasonOf(address, 10), byHand);
    // A new decision takes the place of a ban that the tracker imposed; over is over.
    assert.equal(table.add(banOf('203.0.113.1', 32)), true);
    assert.equal(table.reasonOf(addressOf('203.0.113.1'), 10), byHand);
    assert.equal(table.size, MAX_BANS);
    assert.equal(table.add({ ...flood, beginSeconds: 500, address: ipv4Address(0x70000001) }), true);
    assert.equal(
      table.removeWhere(({ endSeconds }) => endSeconds === 500),
      MAX_BANS - 1001,
    );
    assert.equal(table.size, 1001);
  });
});
