/** Stores with swarms that are known, for snapshots in files, and a log that a test reads. */
import { writeFileSync } from 'node:fs';
import { validateConfig } from '../../tracker/config/validation.ts';
import { Policy } from '../../tracker/policy.ts';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { type Log, openLog } from '../../tracker/telemetry/log.ts';
import { Announcer } from '../swarm/announcing.ts';
import { snapshotOf } from '../swarm/snapshot-bytes.ts';

/** Peers of each swarm. */
const SWARM_PEERS = 20;

/** A number as so many bytes of hex. */
export function hex(value: number, bytes: number): string {
  return value.toString(16).padStart(2 * bytes, '0');
}

/** A store of so many seeders, heard just now, in swarms of twenty. */
export function filledStore(peers: number, memoryBytes = 16 * 2 ** 20): Store {
  const store = Store.create(memoryBytes, 4);
  const announcer = new Announcer(store);
  const now = store.nowSeconds();
  for (let i = 0; i < peers; i++) announcer.announce(peerOf(i), now, 0);
  return store;
}

function peerOf(i: number) {
  return {
    infoHash: hex(Math.floor(i / SWARM_PEERS), 20),
    address: hex(0x0a00_0000 + i, 4),
    port: 6881,
    peerId: hex(i, 20),
    left: 0n,
    event: AnnounceEvent.none,
  };
}

/** Writes a snapshot, made just now, of so many seeders. */
export function writeSnapshot(path: string, peers: number): void {
  const bytes = snapshotOf(filledStore(peers, Math.max(2 ** 20, 256 * peers)), undefined, Date.now());
  writeFileSync(path, bytes);
}

/** The policy of a tracker with default settings. */
export function defaultPolicy(): Policy {
  const config = {
    metadata: { schema_version: '3.0.0' },
    logging: { trace_filter: 'info' },
    core: { listed: false, private: false },
  };
  return Policy.create(validateConfig(config, () => 'the test'));
}

/** A log, and the lines in it so far. */
export function openTestLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const log = openLog({ filter: 'info', style: 'json' }, { stream, isTerminal: false, hasColors: false });
  return { ...log, lines };
}
