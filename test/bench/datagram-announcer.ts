/** Announces as datagrams, for benchmarks of the walk of a request in one process, without sockets. */
import type { ConnectionIds } from '../../tracker/connection-id.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { infoHashWord, isLeecher, PROFILES, Random, skewedTorrent, sourceAddressWord } from './population.ts';
import { ANNOUNCE_BYTES, type Datagrams, placeOf } from './udp-walk.ts';

/** Makes announces of the first profile, the same ones for the same seed, with connection ids that are right. */
export class DatagramAnnouncer {
  readonly #random: Random;
  readonly #profile = PROFILES['1'];
  readonly #addresses: readonly PeerAddress[];
  readonly #ids: readonly (readonly [number, number])[];

  constructor(ids: ConnectionIds, seed: number) {
    this.#random = new Random(seed);
    ids.readClock(Math.floor(Date.now() / 1000));
    this.#addresses = Array.from({ length: this.#profile.addresses }, (_, index) => {
      const address = new PeerAddress();
      const word = sourceAddressWord(index);
      address.family = 4;
      address.bytes.set([word & 0xff, (word >> 8) & 0xff, (word >> 16) & 0xff, word >>> 24]);
      address.port = 5000;
      return address;
    });
    this.#ids = this.#addresses.map((address) => {
      ids.issue(address);
      return [ids.high, ids.low];
    });
  }

  /** Writes announces to all places. */
  fill({ memory, sources }: Datagrams): void {
    const count = memory.bytes.length / placeOf(1);
    for (let i = 0; i < count; i++) this.#write(memory, sources, i);
  }

  #write({ view, words, bytes }: Datagrams['memory'], sources: PeerAddress[], index: number): void {
    const { endpoints, torrents, numWant } = this.#profile;
    const at = placeOf(index);
    const word = at >> 2;
    const endpoint = this.#random.below(endpoints);
    const address = endpoint % this.#addresses.length;
    const torrent = skewedTorrent(this.#random, torrents);
    sources[index] = this.#addresses[address];
    bytes.fill(0, at, at + ANNOUNCE_BYTES);
    view.setInt32(at, this.#ids[address][0]);
    view.setInt32(at + 4, this.#ids[address][1]);
    view.setInt32(at + 8, 1);
    view.setInt32(at + 12, index);
    for (let i = 0; i < 5; i++) words[word + 4 + i] = infoHashWord(torrent, i);
    words[word + 11] = endpoint;
    words[word + 12] = Math.imul(endpoint, 0x9e3779b1);
    if (isLeecher(endpoint)) view.setInt32(at + 68, 5);
    view.setInt32(at + 92, numWant);
    view.setUint16(at + 96, 1 + (Math.floor(endpoint / this.#addresses.length) % 65_535));
  }
}
