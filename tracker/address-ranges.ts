/**
 * Which kinds of addresses an IP address belongs to: those that the Internet's registries set apart (RFC 6890), and
 * those that the configuration lists. Made from ranges once, asked for every request.
 *
 * The ranges are cut into intervals that don't overlap, each with the bits of all ranges that cover it. An address is
 * looked up by binary search; a table of first bytes spares most addresses even that. Nothing is allocated by a look-up.
 */
import { PeerAddress } from './protocol/model.ts';
import { readIpText } from './protocol/ip-text.ts';

/** Bits of a kind of addresses. */
export const AddressClass = {
  loopback: 1,
  /** RFC 1918. */
  private: 2,
  /** RFC 6598, behind the NAT of a provider. */
  shared: 4,
  linkLocal: 8,
  /** RFC 4193. */
  uniqueLocal: 16,
  /** Nodes, pods and services. */
  cluster: 32,
  /** A proxy whose word is taken for the address of a client. */
  proxy: 64,
  /** A proxy whose connections begin with a PROXY protocol header. */
  proxyProtocol: 128,
  exemptFromLimits: 256,
  exemptFromBans: 512,
  exemptFromSourceGuard: 1024,
} as const;

/** Addresses that mean something only inside some network. */
export const LOCAL_CLASSES =
  AddressClass.loopback |
  AddressClass.private |
  AddressClass.shared |
  AddressClass.linkLocal |
  AddressClass.uniqueLocal;

/** A range in CIDR notation, known to be one, and the bits of `AddressClass` that it gives. */
export interface ClassedRange {
  readonly range: string;
  readonly classes: number;
}

const BUILT_IN: readonly ClassedRange[] = [
  { range: '127.0.0.0/8', classes: AddressClass.loopback },
  { range: '::1/128', classes: AddressClass.loopback },
  { range: '10.0.0.0/8', classes: AddressClass.private },
  { range: '172.16.0.0/12', classes: AddressClass.private },
  { range: '192.168.0.0/16', classes: AddressClass.private },
  { range: '100.64.0.0/10', classes: AddressClass.shared },
  { range: '169.254.0.0/16', classes: AddressClass.linkLocal },
  { range: 'fe80::/10', classes: AddressClass.linkLocal },
  { range: 'fc00::/7', classes: AddressClass.uniqueLocal },
];

/** Bits of `AddressClass`. */
export const CLASS_BITS = 11;

export class AddressRanges {
  readonly #ipv4: Intervals;
  readonly #ipv6: Intervals;
  /** What was found for the IPv4 address that was asked for last: a request asks several times. */
  #lastWord = 0;
  #lastClasses = 0;

  /** Ranges beside those that are always known; overlaps add up. */
  constructor(ranges: readonly ClassedRange[]) {
    const parsed = [...BUILT_IN, ...ranges].map((range) => parseRange(range));
    this.#ipv4 = new Intervals(parsed.filter(({ family }) => family === 4));
    this.#ipv6 = new Intervals(parsed.filter(({ family }) => family === 6));
    this.#lastClasses = this.#ipv4.find(new PeerAddress().bytes, 1);
  }

  /** The bits of `AddressClass` of an address; 0 for one that could be anybody's. */
  classesOf(address: PeerAddress): number {
    if (address.family !== 4) return this.#ipv6.find(address.bytes, 4);
    const word = address.words[0];
    if (word !== this.#lastWord) {
      this.#lastWord = word;
      this.#lastClasses = this.#ipv4.find(address.bytes, 1);
    }
    return this.#lastClasses;
  }

  /** Whether every address of a network, named by one of them and its length in bytes, has some of the bits `classes`. */
  coverNetwork(address: PeerAddress, prefixBytes: number, classes: number): boolean {
    const [intervals, words] = address.family === 4 ? [this.#ipv4, 1] : [this.#ipv6, 4];
    const first = Uint8Array.from(address.bytes.subarray(0, 4 * words));
    const last = Uint8Array.from(first);
    first.fill(0, prefixBytes);
    last.fill(255, prefixBytes);
    return intervals.cover(first, last, words, classes);
  }
}

/** The first and the last address of a range, as numbers of 32 or 128 bits. */
interface ParsedRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
  readonly classes: number;
}

function parseRange({ range, classes }: ClassedRange): ParsedRange {
  const slash = range.indexOf('/');
  const text = Buffer.from(range.slice(0, slash), 'latin1');
  const address = new PeerAddress();
  readIpText(text, 0, text.length, address);
  const { family } = address;
  const addressBits = family === 4 ? 32 : 128;
  // An IPv4-mapped range was read as the IPv4 range that it means.
  const mappedBits = family === 4 && text.includes(0x3a) ? 96 : 0;
  const prefixBits = Math.max(0, Number(range.slice(slash + 1)) - mappedBits);
  const size = 1n << BigInt(addressBits - prefixBits);
  const value = BigInt(`0x${Buffer.from(address.bytes.subarray(0, addressBits / 8)).toString('hex')}`);
  const first = value - (value % size);
  return { family, first, last: first + size - 1n, classes };
}

/** Intervals that cover all addresses of a family, in their order; each begins where the one before it ends. */
class Intervals {
  /** The first address of each interval, its most significant word first. */
  readonly #starts: Uint32Array;
  readonly #classes: Uint16Array;
  /** By the first byte of an address: whether any range has such addresses. */
  readonly #isUsed = new Uint8Array(256);

  constructor(ranges: readonly ParsedRange[]) {
    const words = ranges[0]?.family === 6 ? 4 : 1;
    const changes = ranges.flatMap(({ first, last, classes }) => [
      { at: first, classes, step: 1 },
      { at: last + 1n, classes, step: -1 },
    ]);
    changes.sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : 0));
    const starts = [0n];
    const classes = [0];
    const covering = new Int32Array(CLASS_BITS);
    for (const change of changes) {
      for (let bit = 0; bit < CLASS_BITS; bit++) {
        if ((change.classes & (1 << bit)) !== 0) covering[bit] += change.step;
      }
      const bits = covering.reduce((sum, count, bit) => (count > 0 ? sum | (1 << bit) : sum), 0);
      if (change.at >> BigInt(32 * words) !== 0n) break;
      if (starts.at(-1) !== change.at) {
        starts.push(change.at);
        classes.push(bits);
      } else classes[classes.length - 1] = bits;
    }
    this.#starts = Uint32Array.from(starts.flatMap((start) => toWords(start, words)));
    this.#classes = Uint16Array.from(classes);
    const shift = BigInt(32 * words - 8);
    for (const { first, last } of ranges) {
      this.#isUsed.fill(1, Number(first >> shift), Number(last >> shift) + 1);
    }
  }

  /** The bits of the interval that an address of so many words, in network order, lies in. */
  find(bytes: Uint8Array, words: number): number {
    if (this.#isUsed[bytes[0]] === 0) return 0;
    return this.#classes[this.#indexOf(bytes, words)];
  }

  /** Whether every address from `first` to `last` lies in an interval that has some of the bits. */
  cover(first: Uint8Array, last: Uint8Array, words: number, classes: number): boolean {
    const end = this.#indexOf(last, words);
    for (let index = this.#indexOf(first, words); index <= end; index++) {
      if ((this.#classes[index] & classes) === 0) return false;
    }
    return true;
  }

  /** The interval that an address lies in. */
  #indexOf(bytes: Uint8Array, words: number): number {
    let low = 0;
    let high = this.#classes.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#isBefore(bytes, middle * words, words)) high = middle - 1;
      else low = middle;
    }
    return low;
  }

  /** Whether an address is less than the start at `at`. */
  #isBefore(bytes: Uint8Array, at: number, words: number): boolean {
    for (let i = 0; i < words; i++) {
      const byte = 4 * i;
      const word =
        ((bytes[byte] << 24) | (bytes[byte + 1] << 16) | (bytes[byte + 2] << 8) | bytes[byte + 3]) >>> 0;
      const start = this.#starts[at + i];
      if (word !== start) return word < start;
    }
    return false;
  }
}

function toWords(value: bigint, words: number): number[] {
  return Array.from({ length: words }, (_, i) =>
    Number((value >> BigInt(32 * (words - 1 - i))) & 0xffffffffn),
  );
}
