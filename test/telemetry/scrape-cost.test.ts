/**
 * A scrape disturbs no packet, however many torrents there are: it waits for no lock of the store, and reads nothing of a
 * shard but its head.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Access } from '../../tracker/access.ts';
import { type MetricsParts, readMetrics, ReloadRecord } from '../../tracker/run/metrics.ts';
import { NO_SPANS } from '../../tracker/run/tracing.ts';
import { CounterRows } from '../../tracker/swarm/counters.ts';
import { lock } from '../../tracker/swarm/lock.ts';
import { LOCK_WORD, Segment } from '../../tracker/swarm/segment.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Metrics } from '../../tracker/telemetry/metrics.ts';
import { fillStore } from '../bench/filled-store.ts';
import { parseExposition } from './exposition.ts';

const TORRENTS = 5000;
const PEERS = 10_000;

test('takes no lock of the store, and reads the heads of its shards alone', async () => {
  const store = Store.create(2 ** 24);
  fillStore(store, TORRENTS, PEERS);
  const metrics = new Metrics();
  const parts: Omit<MetricsParts, 'spans'> = {
    store,
    counters: CounterRows.create(2, 2),
    access: Access.create(),
    bans: { size: 0 },
    database: null,
    completedSync: null,
    inputs: { trackerCertificates: [], apiCertificate: null },
    reloads: new ReloadRecord(metrics),
    snapshots: () => ({
      writtenAtSeconds: 0,
      peers: 0,
      bytes: 0,
      seconds: 0,
      writes: 0,
      failures: 0,
      restoredPeers: 0,
      restoredTorrents: 0,
    }),
    networkThreads: () => 2,
    isReady: () => true,
  };
  const scrape = async () => {
    const exposition = parseExposition(await metrics.write(readMetrics(parts, NO_SPANS)));
    return exposition.samples.filter(({ name }) => name.startsWith('torrust_tracker_'));
  };
  const before = await scrape();
  const held = before.filter(({ name }) => /_(torrents|peers)$/.test(name)).map(({ value }) => value);
  assert.deepEqual(held.slice(0, 2), [TORRENTS, PEERS]);
  for (const buffer of store.memory.segments) {
    const segment = Segment.attach(buffer);
    // Whoever waits for one of these waits in vain; whoever follows what was here gets lost.
    lock(segment.words, LOCK_WORD);
    segment.words.fill(-1, segment.groupsWord);
  }
  assert.deepEqual(await scrape(), before);
});
