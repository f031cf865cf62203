/**
 * A network thread without a network: announces known peers at a fixed rate to a store that other threads work on, and
 * takes the time of each from the moment it was due, as for UDP at half load. Runs until `control[0]` is 0; each time
 * that `control[1]` changes, it posts the latencies since the last change.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Store, type StoreMemory } from '../../tracker/swarm/store.ts';
import { NEWER_SECONDS, StoreAnnouncer } from './filled-store.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { Random, skewedTorrent } from './population.ts';

export interface StoreLoadSetup {
  readonly memory: StoreMemory;
  readonly torrents: number;
  readonly peers: number;
  readonly ratePerSecond: number;
  /** Words: whether to go on; the number of the interval. */
  readonly control: Int32Array;
}

// The benchmark that starts this thread passes exactly this.
const { memory, torrents, peers, ratePerSecond, control } = workerData as StoreLoadSetup;
const announcer = new StoreAnnouncer(Store.attach(memory));
const histogram = new LatencyHistogram();
const random = new Random(7);
const stepMillis = 1000 / ratePerSecond;
let interval = Atomics.load(control, 1);
for (let dueMillis = performance.now(); Atomics.load(control, 0) === 1; dueMillis += stepMillis) {
  while (performance.now() < dueMillis);
  announcer.announce(skewedTorrent(random, torrents), peers + random.below(peers), NEWER_SECONDS);
  histogram.record((performance.now() - dueMillis) * 1000);
  const current = Atomics.load(control, 1);
  if (current === interval) continue;
  interval = current;
  parentPort?.postMessage(histogram.percentiles());
  histogram.clear();
  // Reading the histogram took time that no announce is to blame for.
  dueMillis = performance.now();
}
