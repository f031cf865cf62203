/**
 * What abuse control costs the walk of a UDP announce, in this process: two trackers without it and one with all of it
 * answer the same announces in turns, each with a store of its own. Options as JSON in the argument; the result, the CPU
 * time of each tracker's turns, as JSON on standard output.
 */
import assert from 'node:assert/strict';
import { AddressBans } from '../../tracker/address-bans.ts';
import { BanReason } from '../../tracker/ban-table.ts';
import type { TrackerConfigInput } from '../../tracker/config/schema.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { makeTracker } from '../fuzz/in-process-listeners.ts';
import { DatagramAnnouncer } from './datagram-announcer.ts';
import { threadCpuMicros } from './thread-clock.ts';
import { datagrams, openWalk } from './udp-walk.ts';

export interface GuardsProcessOptions {
  /** Announces of a turn, turns of each tracker that are counted, and those before. */
  readonly announces: number;
  readonly turns: number;
  readonly warmUpTurns: number;
  readonly seed: number;
}

/** Microseconds of CPU of the thread, turn by turn. */
export type GuardsProcessResult = Readonly<Record<Guard, readonly number[]>>;

/** The first is what the others are compared with; the second is the same once more, and tells what a difference is worth. */
export const GUARDS = ['off', 'off, again', 'on'] as const;
export type Guard = (typeof GUARDS)[number];

const STORE_BYTES = 2 ** 28;
const LISTENER = { udp_trackers: [{ bind_address: '127.0.0.1:0' }], source_guard: {} };
const BUCKET = { requests_per_second: 50_000, burst: 30_000_000 };
/** Limits that nobody reaches: what is measured is the looking. */
const GUARDED: Partial<TrackerConfigInput> = {
  ...LISTENER,
  limits: {
    exempt_private: false,
    exempt: ['198.51.100.0/24'],
    max_swarms: 4_000_000_000,
    max_peers_per_swarm: 4_000_000_000,
    max_peers_per_ip: 4_000_000_000,
    per_ip: BUCKET,
    per_network: BUCKET,
    overall: { requests_per_second: 10_000_000 },
  },
  source_guard: { cluster_ranges: ['10.96.0.0/12', '2001:db8::/32'] },
  proxy_protocol: { trusted_proxies: ['198.51.100.0/24'] },
};

function measure({ announces, turns, warmUpTurns, seed }: GuardsProcessOptions): GuardsProcessResult {
  const micros: Record<Guard, number[]> = { off: [], 'off, again': [], on: [] };
  const input = datagrams(announces);
  const trackers = GUARDS.map((guard) => openTracker(guard, seed));
  for (let turn = 0; turn < warmUpTurns + turns; turn++) {
    for (let i = 0; i < trackers.length; i++) {
      // Each comes after each of the others as often.
      const { guard, announcer, walk } = trackers[(i + turn) % trackers.length];
      announcer.fill(input);
      const before = threadCpuMicros();
      walk(input);
      const spent = threadCpuMicros() - before;
      if (turn >= warmUpTurns) micros[guard].push(spent);
    }
  }
  return micros;
}

function openTracker(guard: Guard, seed: number) {
  const parts = makeTracker(guard === 'on' ? GUARDED : LISTENER, STORE_BYTES);
  const [setup] = parts.setups;
  assert.equal(setup.kind, 'udp');
  // With somebody banned, everybody is looked up.
  if (guard === 'on') {
    const address = new PeerAddress();
    address.bytes.set([203, 0, 113, 7]);
    const ban = { address, prefixBits: 32, reason: BanReason.byHand, beginSeconds: 0, endSeconds: 0 };
    assert(AddressBans.attach(parts.gateMemory.bans).table.add(ban));
  }
  return { guard, announcer: new DatagramAnnouncer(parts.ids, seed), walk: openWalk(setup, parts) };
}

if (import.meta.main) {
  // The benchmark that starts this process passes exactly this.
  const options = JSON.parse(process.argv[2] ?? '') as GuardsProcessOptions;
  console.log(JSON.stringify(measure(options)));
}
