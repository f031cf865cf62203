/**
 * The peers of one swarm and one address family. The caller holds the segment's lock.
 *
 * Peers live in pages. A peer's page is chosen by the keyed hash of its IP address (linear hashing over pages), so that
 * finding a peer reads one page, whatever the size of the swarm.
 *
 *   set        0 page, or directory when there are several   1 pages   2 peers          (three words of a torrent)
 *   directory  0 capacity   1.. pages; `peer-page.ts` has their layout
 *
 * Work in one call is bounded by the pages touched: two when a peer comes, nine when one goes, and the directory when it
 * must grow (4 bytes a page).
 */
import type { AnnounceRequest } from '../protocol/model.ts';
import { type AddressFamily, HASH_WORDS } from '../protocol/model.ts';
import { bucketOf, bucketToSplit } from './linear-hashing.ts';
import { type EndpointMemory, PeerPages, portion } from './peer-page.ts';
import type { Segment } from './segment.ts';

const SET_ROOT = 0;
const SET_PAGES = 1;
export const SET_PEERS = 2;

/** A set gets another page when its pages hold more peers than this on average, and loses one below the other. */
const SPLIT_PEERS = 48;
const MERGE_PEERS = 16;
/** Pages that one call gives up at most. */
const MERGES_PER_CALL = 4;
/** Chosen addresses can't fill one page, but a page that grows beyond this takes no more peers all the same. */
const MAX_PAGE_PEERS = 4096;
/** The most peers of one IP address in a swarm. The next one takes the place of any of them: behind one address that more
 * share, each stays for a while. */
export const MAX_PEERS_PER_ADDRESS = 64;

/** Which slots of a page move to another one; a thread never splits two at a time. */
const movesScratch = new Uint8Array(MAX_PAGE_PEERS);

/**
 * A place in a set, filled in by `PeerSets.find`: the page of the announcing address, and the slot in it. Valid until
 * the set changes.
 */
export class PeerPlace {
  page = 0;
  /** -1 when the announcer is not there and nobody has to make room for it. */
  slot = -1;
  /** Whether the peer in the slot is the announcer itself. */
  known = false;
  addressHash = 0;

  /** Makes it the place of nobody. */
  clear(): void {
    this.page = 0;
    this.slot = -1;
    this.known = false;
  }
}

/** Reads and changes peer sets of one segment and one family. Holds no state of its own. */
export class PeerSets {
  readonly #segment: Segment;
  readonly #pages: PeerPages;
  readonly #words: Int32Array;

  constructor(segment: Segment, family: AddressFamily, keyLow: number, keyHigh: number) {
    this.#segment = segment;
    this.#pages = new PeerPages(segment, family, keyLow, keyHigh);
    this.#words = segment.words;
  }

  /**
   * Looks for the announcer: by address and port, else by address and peer id; else, when its address has as many
   * peers as one may have, any of them, by `random`, a positive 31-bit integer.
   */
  find(set: number, request: AnnounceRequest, random: number, place: PeerPlace): void {
    const words = this.#words;
    const pages = words[set + SET_PAGES];
    place.clear();
    if (pages === 0) return;
    if (pages > 1) place.addressHash = this.#pages.hashRequest(request);
    const page = words[this.#pageLink(set, pages, place.addressHash)];
    place.page = page;
    const pagesOfSet = this.#pages;
    place.slot = pagesOfSet.findEndpoint(page, request);
    if (place.slot < 0) place.slot = pagesOfSet.findPeerId(page, request);
    place.known = place.slot >= 0;
    if (place.known || pagesOfSet.count(page) < MAX_PEERS_PER_ADDRESS) return;
    place.slot = pagesOfSet.findNeighbour(page, request, MAX_PEERS_PER_ADDRESS, random);
  }

  /** Whether the peer at `place`, which `find` found, has the announcer's port too, and not the peer id alone. */
  hasPort(place: PeerPlace, request: AnnounceRequest): boolean {
    return this.#pages.findEndpoint(place.page, request) === place.slot;
  }

  /** The event that the peer at `place` announced last. */
  eventAt(place: PeerPlace): number {
    return this.#words[this.#pages.stampAt(place.page, place.slot)] & 3;
  }

  /** Seconds at which the peer at `place` was last heard. */
  secondsAt(place: PeerPlace): number {
    return this.#pages.secondsAt(place.page, place.slot);
  }

  /** The index of the peer's details. */
  detailAt(place: PeerPlace): number {
    return this.#pages.detailAt(place.page, place.slot);
  }

  /** Writes the announcer over the peer at `place`. */
  write(place: PeerPlace, request: AnnounceRequest, stamp: number): void {
    this.#pages.write(place.page, place.slot, request, stamp);
  }

  /** Adds the announcer, which `find` did not find. Returns false when memory is full. */
  add(set: number, request: AnnounceRequest, stamp: number, place: PeerPlace): boolean {
    const words = this.#words;
    if (words[set + SET_PAGES] === 0) {
      const page = this.#pages.create(1);
      if (page === 0) return false;
      words[set + SET_ROOT] = page;
      words[set + SET_PAGES] = 1;
      place.page = page;
    }
    let count = this.#pages.count(place.page);
    if (count === this.#pages.capacity(place.page)) {
      const page = count < MAX_PAGE_PEERS ? this.#pages.resize(place.page, grown(count)) : 0;
      if (page === 0) return false;
      words[this.#pageLink(set, words[set + SET_PAGES], place.addressHash)] = page;
      place.page = page;
    }
    place.slot = count++;
    this.#pages.setCount(place.page, count);
    this.write(place, request, stamp);
    words[set + SET_PEERS]++;
    if (words[set + SET_PEERS] > words[set + SET_PAGES] * SPLIT_PEERS) this.#split(set);
    return true;
  }

  /**
   * Gives an empty set room for so many peers that come now, one at the least, so that its first page need not grow. A
   * set that has peers, or a full memory, is left alone.
   */
  reserve(set: number, peers: number): void {
    const words = this.#words;
    if (words[set + SET_PAGES] !== 0) return;
    const page = this.#pages.create(Math.min(peers, SPLIT_PEERS));
    if (page === 0) return;
    words[set + SET_ROOT] = page;
    words[set + SET_PAGES] = 1;
  }

  /** The keyed hash of the announcer's address. */
  hashRequest(request: AnnounceRequest): number {
    return this.#pages.hashRequest(request);
  }

  /** The keyed hash of the address of the peer at `place`. */
  hashAt(place: PeerPlace): number {
    return this.#pages.hashSlot(place.page, place.slot);
  }

  /** Removes the peer at `place` by moving the page's last peer there. */
  remove(set: number, place: PeerPlace): void {
    this.#removeSlot(set, place.page, place.slot);
    const pages = this.#words[set + SET_PAGES];
    this.#tidy(set, this.#pageLink(set, pages, place.addressHash));
  }

  /** The peer of the announcer's page that was silent longest, as a place; slot -1 when there is no page. */
  findStalest(place: PeerPlace): void {
    place.slot = -1;
    if (place.page === 0) return;
    const count = this.#pages.count(place.page);
    let oldest = 0xffffffff;
    for (let slot = 0; slot < count; slot++) {
      const seconds = this.#pages.secondsAt(place.page, slot);
      if (seconds >= oldest) continue;
      oldest = seconds;
      place.slot = slot;
    }
  }

  /**
   * Copies a window of at most `wanted` endpoints, from a random peer on, to `target` at `targetHalf`, and their peer
   * ids to `ids` at `idsWord` unless that is null. The peer at `self` is left out. Returns how many were copied.
   */
  select(
    set: number,
    self: PeerPlace,
    wanted: number,
    random: number,
    target: EndpointMemory,
    targetHalf: number,
    ids: Int32Array | null,
    idsWord: number,
  ): number {
    const words = this.#words;
    const pages = words[set + SET_PAGES];
    const available = words[set + SET_PEERS] - (self.slot >= 0 ? 1 : 0);
    const total = wanted < available ? wanted : available;
    if (total <= 0) return 0;
    const firstIndex = pages === 1 ? 0 : portion(random, pages);
    let index = firstIndex;
    let page = this.#pageAt(set, pages, index);
    let to = this.#pages.count(page);
    // The lower bits of a number that chose the page by its upper ones.
    const firstSlot = portion((random << 15) >>> 1, to);
    let from = firstSlot;
    let copied = 0;
    const step = this.#pages.endpointHalves;
    // Each page once, and the first one a second time for what stands before the start.
    for (let visit = 0; visit <= pages; visit++) {
      // The announcer, where it is among them, cuts the slots of a page in two runs.
      const isCut = page === self.page && self.slot >= from && self.slot < to;
      let end = isCut ? self.slot : to;
      for (let run = isCut ? 2 : 1; run > 0; run--) {
        const count = end - from < total - copied ? end - from : total - copied;
        this.#pages.copyEndpoints(page, from, count, target, targetHalf + copied * step);
        if (ids !== null) this.#pages.copyPeerIds(page, from, count, ids, idsWord + copied * HASH_WORDS);
        copied += count;
        from = end + 1;
        end = to;
      }
      if (copied === total) break;
      index = index + 1 === pages ? 0 : index + 1;
      page = this.#pageAt(set, pages, index);
      from = 0;
      to = index === firstIndex ? firstSlot : this.#pages.count(page);
    }
    return copied;
  }

  /** How many pages a set has. */
  pages(set: number): number {
    return this.#words[set + SET_PAGES];
  }

  /** Calls `visit` with page and slot of each peer of page number `index`; `pages` reads them. */
  visitPage(set: number, index: number, visit: (pages: PeerPages, page: number, slot: number) => void): void {
    const page = this.#pageAt(set, this.#words[set + SET_PAGES], index);
    const count = this.#pages.count(page);
    for (let slot = 0; slot < count; slot++) visit(this.#pages, page, slot);
  }

  /**
   * Removes from page number `index` the peers that were last heard at `cutoffSeconds` or before. `removed` is told the
   * details of each before it goes, and where `hashes` is set the keyed hash of its address. The set may lose a page at its end.
   */
  expirePage(
    set: number,
    index: number,
    cutoffSeconds: number,
    hashes: boolean,
    removed: (detail: number, addressHash: number) => void,
  ): void {
    const words = this.#words;
    const page = this.#pageAt(set, words[set + SET_PAGES], index);
    const before = this.#pages.count(page);
    for (let slot = before - 1; slot >= 0; slot--) {
      if (this.#pages.secondsAt(page, slot) > cutoffSeconds) continue;
      removed(this.#pages.detailAt(page, slot), hashes ? this.#pages.hashSlot(page, slot) : 0);
      this.#removeSlot(set, page, slot);
    }
    if (this.#pages.count(page) === before) return;
    const pages = words[set + SET_PAGES];
    this.#tidy(set, pages === 1 ? set + SET_ROOT : words[set + SET_ROOT] + 1 + index);
  }

  /** Moves the last peer of the page to `slot` and forgets the last. */
  #removeSlot(set: number, page: number, slot: number): void {
    const words = this.#words;
    const last = this.#pages.count(page) - 1;
    if (slot !== last) this.#pages.copyPeer(page, last, page, slot);
    this.#pages.setCount(page, last);
    words[set + SET_PEERS]--;
  }

  /** Gives back memory after peers went from the page at `link`. */
  #tidy(set: number, link: number): void {
    const words = this.#words;
    if (words[set + SET_PEERS] === 0) {
      this.#clear(set);
      return;
    }
    this.#shrink(link);
    for (let i = 0; i < MERGES_PER_CALL; i++) {
      const pages = words[set + SET_PAGES];
      if (pages === 1 || words[set + SET_PEERS] >= pages * MERGE_PEERS) return;
      this.#merge(set);
    }
  }

  /** Frees the pages of a set that holds nobody any more; few are left by then, since they went with their peers. */
  #clear(set: number): void {
    const words = this.#words;
    const { heap } = this.#segment;
    const root = words[set + SET_ROOT];
    const pages = words[set + SET_PAGES];
    if (pages > 1) for (let index = 0; index < pages; index++) heap.free(words[root + 1 + index]);
    heap.free(root);
    words[set + SET_ROOT] = 0;
    words[set + SET_PAGES] = 0;
  }

  /** Gives back memory of the page at a link when it is less than half full. */
  #shrink(link: number): void {
    const words = this.#words;
    const page = words[link];
    const count = this.#pages.count(page);
    const capacity = this.#pages.capacity(page);
    if (capacity < 4 || count * 2 >= capacity) return;
    const smaller = this.#pages.resize(page, grown(count));
    if (smaller !== 0) words[link] = smaller;
  }

  /** Adds a page and moves to it what belongs there from the page that linear hashing splits. */
  #split(set: number): void {
    const words = this.#words;
    const pages = words[set + SET_PAGES];
    const directory = this.#directoryWithRoom(set, pages);
    if (directory === 0) return;
    const link = directory + 1 + bucketToSplit(pages);
    const source = words[link];
    const count = this.#pages.count(source);
    let moving = 0;
    for (let slot = 0; slot < count; slot++) {
      const moves = bucketOf(this.#pages.hashSlot(source, slot), pages + 1) === pages;
      movesScratch[slot] = moves ? 1 : 0;
      if (moves) moving++;
    }
    const target = this.#pages.create(grown(moving));
    if (target === 0) {
      if (pages === 1) this.#dropDirectory(set);
      return;
    }
    words[directory + 1 + pages] = target;
    words[set + SET_PAGES] = pages + 1;
    let kept = 0;
    let moved = 0;
    for (let slot = 0; slot < count; slot++) {
      if (movesScratch[slot] === 1) {
        this.#pages.copyPeer(source, slot, target, moved++);
      } else {
        if (slot !== kept) this.#pages.copyPeer(source, slot, source, kept);
        kept++;
      }
    }
    this.#pages.setCount(target, moved);
    this.#pages.setCount(source, kept);
    this.#shrink(link);
  }

  /** Moves the last page's peers to the page that they once came from. */
  #merge(set: number): void {
    const words = this.#words;
    const pages = words[set + SET_PAGES] - 1;
    const directory = words[set + SET_ROOT];
    const link = directory + 1 + bucketToSplit(pages);
    const source = words[directory + 1 + pages];
    let target = words[link];
    const moving = this.#pages.count(source);
    const count = this.#pages.count(target);
    if (this.#pages.capacity(target) < count + moving) {
      target = this.#pages.resize(target, grown(count + moving));
      if (target === 0) return;
      words[link] = target;
    }
    for (let slot = 0; slot < moving; slot++) this.#pages.copyPeer(source, slot, target, count + slot);
    this.#pages.setCount(target, count + moving);
    words[set + SET_PAGES] = pages;
    this.#pages.free(source);
    if (pages === 1) this.#dropDirectory(set);
  }

  /** The set's directory with room for one page more, made or moved if need be; 0 when memory is full. */
  #directoryWithRoom(set: number, pages: number): number {
    const words = this.#words;
    const root = words[set + SET_ROOT];
    if (pages > 1 && words[root] > pages) return root;
    const capacity = grown(pages) + 2;
    const directory = this.#segment.heap.allocate(1 + capacity);
    if (directory === 0) return 0;
    words[directory] = capacity;
    if (pages === 1) words[directory + 1] = root;
    else {
      words.copyWithin(directory + 1, root + 1, root + 1 + pages);
      this.#segment.heap.free(root);
    }
    words[set + SET_ROOT] = directory;
    return directory;
  }

  /** Lets the root of a set of one page point to the page itself. */
  #dropDirectory(set: number): void {
    const words = this.#words;
    const directory = words[set + SET_ROOT];
    words[set + SET_ROOT] = words[directory + 1];
    this.#segment.heap.free(directory);
  }

  #pageAt(set: number, pages: number, index: number): number {
    const root = this.#words[set + SET_ROOT];
    return pages === 1 ? root : this.#words[root + 1 + index];
  }

  /** Where the page for a hash is written down. */
  #pageLink(set: number, pages: number, hash: number): number {
    return pages === 1 ? set + SET_ROOT : this.#words[set + SET_ROOT] + 1 + bucketOf(hash, pages);
  }
}

/** The capacity for `count` peers and one more, a quarter larger at most. */
function grown(count: number): number {
  return Math.max(count + 1, Math.floor(count * 1.25));
}
