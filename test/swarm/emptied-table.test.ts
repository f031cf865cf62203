/** The table of torrents never shrinks; walks over one that is all but empty let announces through as often as ever. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { BUCKETS_WORD, Segment } from '../../tracker/swarm/segment.ts';
import { exportStore } from '../../tracker/swarm/snapshot-export.ts';
import { SnapshotEncoder } from '../../tracker/swarm/snapshot-format.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Announcer, RULES } from './announcing.ts';

const PEER = {
  address: '0a000001',
  port: 1,
  peerId: '1'.repeat(40),
  left: 0n,
  event: AnnounceEvent.none,
};

describe('in a table that all its torrents have left', () => {
  const TORRENTS = 40_000;
  const store = Store.create(2 ** 25, 1);
  const announcer = new Announcer(store);
  for (let i = 0; i < TORRENTS; i++) {
    announcer.announce({ ...PEER, infoHash: i.toString(16).padStart(40, '0') }, 1);
  }
  for (const _ of store.expire(1, RULES));
  const buckets = Segment.attach(store.memory.segments[0]).words[BUCKETS_WORD];
  const encoder = new SnapshotEncoder(() => undefined, 0);
  const walks: Readonly<Record<string, () => Iterable<unknown>>> = {
    'expiry of peers': () => store.expire(1, RULES),
    'a list of torrents': () => store.torrents(),
    'a snapshot': () => exportStore(store, encoder),
    'a search for bases': () => store.wantBases(),
  };
  for (const [walk, begin] of Object.entries(walks)) {
    test(`${walk} holds a lock for no more buckets at a time than in a full one`, () => {
      assert.equal(store.totals().torrents, 0);
      assert.ok(buckets > TORRENTS);
      assert.ok([...begin()].length >= buckets / 1024);
    });
  }
});
