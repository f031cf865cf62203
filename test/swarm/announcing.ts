/** Announces as tests write them, and replies as tests read them. */
import { AnnounceReply, AnnounceRequest, PeerAddress } from '../../tracker/protocol/model.ts';
import type { SwarmRules } from '../../tracker/swarm/swarm-rules.ts';
import type { Store } from '../../tracker/swarm/store.ts';
import type { ModelAnnounce } from './model.ts';

export const RULES: SwarmRules = { persistCompleted: false, removePeerless: true, staleAfterSeconds: 120 };

export interface ReadReply {
  readonly seeders: number;
  readonly leechers: number;
  readonly completed: number;
  readonly stored: boolean;
  readonly change: number;
  /** Bits of `SwarmLimit`. */
  readonly beyond: number;
  /** `hex:port` of each peer, IPv4 first. */
  readonly peers: string[];
  readonly peerIds: string[];
}

/** Announces straight to a store. `numWant` is the most peers asked for. */
export class Announcer {
  readonly #store: Store;
  readonly #request = new AnnounceRequest();
  readonly #reply = new AnnounceReply(new Uint16Array(64 * 1024));
  readonly #address = new PeerAddress();
  readonly #peerIds = new Int32Array(5 * 4096);

  constructor(store: Store) {
    this.#store = store;
    this.#reply.ipv6Half = 16 * 1024;
    this.#reply.peerIds = this.#peerIds;
  }

  announce(announce: ModelAnnounce, nowSeconds: number, numWant = 50, rules: SwarmRules = RULES): ReadReply {
    const request = this.#request;
    const bytes = Buffer.from(request.words.buffer);
    bytes.write(announce.infoHash, 0, 'hex');
    bytes.write(announce.peerId, 20, 'hex');
    const { uploaded = 0n, downloaded = 0n, left } = announce;
    writeNumber(request.words, AnnounceRequest.UPLOADED_WORD, uploaded);
    writeNumber(request.words, AnnounceRequest.DOWNLOADED_WORD, downloaded);
    writeNumber(request.words, AnnounceRequest.LEFT_WORD, left);
    request.event = announce.event;
    this.#address.family = announce.address.length === 8 ? 4 : 6;
    Buffer.from(this.#address.bytes.buffer).write(announce.address, 'hex');
    request.setEndpoint(this.#address, announce.port);
    const reply = this.#reply;
    reply.peersWanted = numWant;
    this.#store.announce(request, reply, nowSeconds, rules);
    return {
      seeders: reply.seeders,
      leechers: reply.leechers,
      completed: reply.completed,
      stored: reply.stored,
      change: reply.change,
      beyond: reply.beyond,
      peers: [...this.#endpoints(0, 6, reply.ipv4Peers), ...this.#endpoints(32 * 1024, 18, reply.ipv6Peers)],
      peerIds: Array.from({ length: reply.ipv4Peers + reply.ipv6Peers }, (_, index) =>
        Buffer.from(this.#peerIds.buffer, index * 20, 20).toString('hex'),
      ),
    };
  }

  #endpoints(start: number, size: number, count: number): string[] {
    const bytes = Buffer.from(this.#reply.halves.buffer);
    return Array.from({ length: count }, (_, index) => {
      const at = start + index * size;
      return `${bytes.toString('hex', at, at + size - 2)}:${bytes.readUInt16BE(at + size - 2)}`;
    });
  }
}

function writeNumber(words: Int32Array, upper: number, number: bigint): void {
  words[upper] = Number(number >> 32n);
  words[upper + 1] = Number(BigInt.asIntN(32, number));
}
