/** The instruments of the snapshots of the swarms; part of the table in `instruments.ts`. */
import { byLabel, type ReadInstrument, single } from './instrument.ts';

const KEEPER = 'the main thread, which starts the thread of each snapshot';

/** They are all 0 where the configuration names no snapshot. */
export const SNAPSHOT_INSTRUMENTS: readonly ReadInstrument[] = [
  {
    name: 'torrust_tracker_snapshots_total',
    type: 'counter',
    unit: 'snapshots',
    help: 'Snapshots of the swarms since the start, by whether they were written',
    labels: { outcome: ['written', 'failed'] },
    source: KEEPER,
    read: ({ snapshots }) => byLabel('outcome', { written: snapshots.writes, failed: snapshots.failures }),
  },
  {
    name: 'torrust_tracker_snapshot_last_success_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since 1970',
    help: 'When the last snapshot was written; 0 when none was since the start',
    source: KEEPER,
    read: ({ snapshots }) => single(snapshots.writtenAtSeconds),
  },
  {
    name: 'torrust_tracker_snapshot_duration_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'How long the last snapshot took to write, its pauses included',
    source: KEEPER,
    read: ({ snapshots }) => single(snapshots.seconds),
  },
  {
    name: 'torrust_tracker_snapshot_size_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'The size of the last snapshot',
    source: KEEPER,
    read: ({ snapshots }) => single(snapshots.bytes),
  },
  {
    name: 'torrust_tracker_snapshot_peers',
    type: 'gauge',
    unit: 'peers',
    help: 'The peers in the last snapshot',
    source: KEEPER,
    read: ({ snapshots }) => single(snapshots.peers),
  },
  {
    name: 'torrust_tracker_snapshot_restored_peers',
    type: 'gauge',
    unit: 'peers',
    help: 'The peers that the start brought back from a snapshot',
    source: KEEPER,
    read: ({ snapshots }) => single(snapshots.restoredPeers),
  },
];
