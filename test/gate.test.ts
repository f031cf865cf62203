/** Who is never banned and never limited, whatever they send: those behind whom may be a whole cluster. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TrackerConfigInput } from '../tracker/config/schema.ts';
import { validateConfig } from '../tracker/config/validation.ts';
import { Gate } from '../tracker/gate.ts';
import { Policy } from '../tracker/policy.ts';
import { gateSettings } from '../tracker/run/gate-settings.ts';
import { CounterRows } from '../tracker/swarm/counters.ts';
import { addressOf, ipv4Address } from './support/addresses.ts';

const RANGES = {
  http_trackers: [{ network: { on_reverse_proxy: true, trusted_proxies: ['198.51.100.0/25'] } }],
  source_guard: { cluster_ranges: ['2001:db8:c::/48'] },
} satisfies Partial<TrackerConfigInput>;

function gateOf(config: Partial<TrackerConfigInput>): Gate {
  const valid = validateConfig(
    {
      metadata: { schema_version: '3.0.0' },
      logging: { trace_filter: 'off' },
      core: { listed: false, private: false },
      udp_tracker_server: { max_connection_id_errors_per_ip: 10 },
      ...config,
    },
    () => 'the test',
  );
  const counters = CounterRows.create(1).row(0);
  const gate = new Gate(Gate.createMemory(), gateSettings(valid), Policy.create(valid), counters);
  gate.readClock(1_700_000_000);
  return gate;
}

const LOCAL = [
  '10.1.2.3',
  '127.0.0.1',
  '100.64.0.1',
  '169.254.1.1',
  '172.31.0.1',
  '192.168.1.1',
  '::1',
  'fe80::1',
  'fd00::1',
];
const LISTED = ['198.51.100.1', '2001:db8:c:1::1'];
const OTHERS = ['203.0.113.1', '198.51.100.128', '2001:db8::1'];

describe('After a hundred wrong connection ids', () => {
  const gate = gateOf(RANGES);
  for (const [texts, isIgnored] of [
    [[...LOCAL, ...LISTED], false],
    [OTHERS, true],
  ] as const) {
    for (const text of texts) {
      test(`${text} is ${isIgnored ? '' : 'not '}ignored`, () => {
        const address = addressOf(text);
        for (let i = 0; i < 100; i++) gate.countWrongId(address);
        assert.equal(gate.ignores(address), isIgnored);
        assert.equal(gate.isBannedByHand(address), false);
      });
    }
  }
});

describe('While the clock of the machine is set', () => {
  const rate = { requests_per_second: 1, burst: 10 };
  for (const stepSeconds of [-3600, -5, -1, 1, 5, 3600]) {
    for (const limit of ['per_ip', 'per_network', 'overall'] as const) {
      test(`by ${stepSeconds} s, ${limit} lets as many pass as ever`, (context) => {
        const gate = gateOf({ limits: { [limit]: rate } });
        let now = 1000;
        context.mock.method(process, 'hrtime', () => [Math.floor(now), (now % 1) * 1e9]);
        const admitted = (wallSeconds: number, asked: number): number => {
          gate.readClock(wallSeconds);
          return Array.from({ length: asked }, () => gate.admits(addressOf('203.0.113.1'), true)).filter(
            Boolean,
          ).length;
        };
        assert.equal(admitted(1_700_000_000, 5), 5);
        assert.equal(admitted(1_700_000_000 + stepSeconds, 20), 5);
        now += 2.5;
        assert.equal(admitted(1_700_000_000, 20), 2);
      });
    }
  }
});

describe('Beyond a limit', () => {
  const limits = { per_ip: { requests_per_second: 1, burst: 1 }, exempt: ['203.0.113.7/32'] };
  const cases: readonly [string, TrackerConfigInput['limits'], readonly string[], boolean][] = [
    ['an address of anyone', limits, OTHERS, false],
    ['a local address', limits, LOCAL, true],
    ['a local address that is not exempt', { ...limits, exempt_private: false }, LOCAL, false],
    ['a listed address', { ...limits, exempt_private: false }, [...LISTED, '203.0.113.7'], true],
    ['anyone, when it is tried out', { ...limits, dry_run: true }, OTHERS, true],
  ];
  for (const [who, table, texts, isAdmitted] of cases) {
    test(`${who} is ${isAdmitted ? '' : 'not '}admitted`, () => {
      const gate = gateOf({ ...RANGES, limits: table });
      for (const text of texts) {
        assert.equal(gate.admits(addressOf(text), true), true, text);
        assert.equal(gate.admits(addressOf(text), true), isAdmitted, text);
      }
    });
  }

  test('a client is told to wait in whole minutes', () => {
    const gate = gateOf({ limits: { per_ip: { requests_per_second: 1, burst: 1 } } });
    gate.admits(addressOf('203.0.113.1'), true);
    assert.equal(gate.admits(addressOf('203.0.113.1'), true), false);
    assert.equal(gate.retryMinutes, 1);
  });
});

describe('Of the connections of one client', () => {
  const limits = { max_connections_per_ip: 2, exempt: ['203.0.113.7/32'] };

  test('so many are admitted, and others when they have ended', () => {
    const gate = gateOf({ ...RANGES, limits });
    for (const texts of [
      ['203.0.113.1', '203.0.113.1', '203.0.113.1'],
      // A /64 is one client.
      ['2001:db8::1', '2001:db8::2', '2001:db8::3'],
    ]) {
      const [first, second, third] = texts.map((text) => addressOf(text));
      const held = gate.admitConnection(first);
      assert.notEqual(held, null);
      assert.notEqual(gate.admitConnection(second), null);
      assert.equal(gate.admitConnection(third), null);
      gate.releaseConnection(held ?? 0);
      assert.notEqual(gate.admitConnection(third), null);
      assert.equal(gate.admitConnection(third), null);
    }
    assert.notEqual(gate.admitConnection(addressOf('203.0.113.2')), null);
    assert.notEqual(gate.admitConnection(addressOf('2001:db8:0:1::1')), null);
  });

  for (const [who, table, text] of [
    ['a local address', limits, '10.1.2.3'],
    ['a listed address', { ...limits, exempt_private: false }, '203.0.113.7'],
    ['anyone, when it is tried out', { ...limits, dry_run: true }, '203.0.113.1'],
    ['anyone, without a limit', {}, '203.0.113.1'],
  ] as const) {
    test(`all of ${who} are admitted`, () => {
      const gate = gateOf({ ...RANGES, limits: { ...table } });
      for (let i = 0; i < 5; i++) assert.notEqual(gate.admitConnection(addressOf(text)), null);
    });
  }

  test('more addresses than there is room for are forgotten, and nobody is refused for others', () => {
    const gate = gateOf({ limits });
    for (let i = 0; i < 200_000; i++) {
      const address = ipv4Address(0x20000000 + i);
      const held = gate.admitConnection(address);
      assert.notEqual(held, null);
      // Most stay.
      if (i % 4 === 0) gate.releaseConnection(held ?? 0);
    }
    for (let i = 0; i < 1000; i++) assert.notEqual(gate.admitConnection(ipv4Address(0x40000000 + i)), null);
  });
});
