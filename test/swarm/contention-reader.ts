/**
 * A thread that lists all torrents and writes snapshots of all peers, again and again, while others announce and expire
 * (`contention-worker.ts`). Posts its first look, and at the end how often it looked and what it saw that nobody announced.
 */
import { parentPort, workerData } from 'node:worker_threads';
import {
  IPV4_PEER_WORDS,
  PART_IPV4_PEERS,
  PART_IPV6_PEERS,
  PART_WORDS,
  PEER_ANNOUNCE,
  SnapshotDecoder,
} from '../../tracker/swarm/snapshot-format.ts';
import { AnnounceRequest, HASH_WORDS } from '../../tracker/protocol/model.ts';
import { Store, type StoreMemory } from '../../tracker/swarm/store.ts';
import { reader, snapshotOf } from './snapshot-bytes.ts';

export interface Reading {
  readonly memory: StoreMemory;
  /** A word that is not zero when it is time to end. */
  readonly end: SharedArrayBuffer;
}

export interface Seen {
  readonly looks: number;
  readonly torrents: number;
  readonly peers: number;
  readonly faults: readonly string[];
}

const ADDRESS = PEER_ANNOUNCE + AnnounceRequest.ENDPOINT_WORD - AnnounceRequest.PEER_ID_WORD;

// The test that starts this thread passes exactly this.
const { memory, end } = workerData as Reading;
const store = Store.attach(memory);
const isOver = new Int32Array(end);
const faults: string[] = [];
let looks = 0;
let torrents = 0;
let peers = 0;

function list(): void {
  for (const { infoHash, seeders, leechers } of [...store.torrents()].flat()) {
    torrents++;
    if (seeders < 0 || leechers < 0) faults.push(`${infoHash}: ${seeders} seeders, ${leechers} leechers`);
  }
}

function readSnapshot(): void {
  const decoder = new SnapshotDecoder(reader(snapshotOf(store)));
  if (decoder.open() !== null) faults.push('a snapshot without a head');
  for (;;) {
    const next = decoder.next();
    if (next === 'damaged') faults.push('a damaged snapshot');
    if (next !== 'part') return;
    const { words, part } = decoder;
    if (words[part + PART_IPV6_PEERS] !== 0) faults.push('peers of a family that nobody has');
    for (let i = 0; i < words[part + PART_IPV4_PEERS]; i++) {
      const peer = part + PART_WORDS + i * IPV4_PEER_WORDS;
      peers++;
      // Every peer's id ends with its address.
      if (words[peer + ADDRESS] !== words[peer + PEER_ANNOUNCE + HASH_WORDS - 1]) faults.push('half a peer');
    }
  }
}

do {
  list();
  readSnapshot();
  if (looks++ === 0) parentPort?.postMessage('ready');
} while (Atomics.load(isOver, 0) === 0);
const seen: Seen = { looks, torrents, peers, faults: faults.slice(0, 10) };
parentPort?.postMessage(seen);
