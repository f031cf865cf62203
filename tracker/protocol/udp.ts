/**
 * The UDP tracker protocol, tracker side: bytes to values and back (BEP 15; options of BEP 41). Pure: no socket, no
 * clock. All integers are big-endian. Every offset that is given must be a multiple of four.
 *
 *   connect   in  0 protocol id (8)    8 action=0  12 transaction id
 *             out 0 action=0           4 transaction id   8 connection id (8)
 *   announce  in  0 connection id (8)  8 action=1  12 transaction id  16 info hash (20)  36 peer id (20)
 *                56 downloaded (8)    64 left (8)  72 uploaded (8)    80 event  84 ip  88 key  92 num_want  96 port (2)
 *                98 options of BEP 41
 *             out 0 action=1           4 transaction id   8 interval  12 leechers  16 seeders  20 peers (6 or 18 each)
 *   scrape    in  0 connection id (8)  8 action=2  12 transaction id  16 info hashes (20 each)
 *             out 0 action=2           4 transaction id   8 per hash: seeders, completed, leechers
 *   error     out 0 action=3           4 transaction id   8 text
 */
import { AnnounceEvent, AnnounceRequest, HASH_BYTES, HASH_WORDS, type ScrapeEntry } from './model.ts';

export const UdpAction = { connect: 0, announce: 1, scrape: 2, error: 3 } as const;

export const PROTOCOL_ID_HIGH = 0x417;
export const PROTOCOL_ID_LOW = 0x27101980;
/** A datagram below this length can't carry a transaction id, so it can't be answered. */
export const REQUEST_HEAD_BYTES = 16;
export const ANNOUNCE_REQUEST_BYTES = 98;
export const CONNECT_REPLY_BYTES = 16;
export const ANNOUNCE_REPLY_HEAD_BYTES = 20;
export const SCRAPE_REPLY_HEAD_BYTES = 8;
export const SCRAPE_REPLY_ENTRY_BYTES = 12;
export const ERROR_REPLY_HEAD_BYTES = 8;
/** The most info hashes that a scrape is answered for (BEP 15). */
export const MAX_SCRAPE_HASHES = 74;

/** What is wrong with a request; zero is nothing. `UDP_FAULT_TEXTS` has the words. */
export const UdpFault = {
  none: 0,
  badProtocolId: 1,
  badAction: 2,
  announceTooShort: 3,
  zeroPort: 4,
  badEvent: 5,
  scrapeWithoutHash: 6,
  scrapeWithPartialHash: 7,
} as const;
export type UdpFault = (typeof UdpFault)[keyof typeof UdpFault];

/** The error texts of Torrust Tracker 3.0.0, without its source positions; indexed by `UdpFault`. */
export const UDP_FAULT_TEXTS: readonly string[] = [
  '',
  'bad request: Protocol identifier missing',
  'bad request: Invalid action',
  'bad request: invalid data',
  "bad request: Port can't be 0",
  'bad request: Invalid announce event',
  'bad request: Full scrapes are not allowed',
  'bad request: Invalid info hash list',
];

/** The same memory, seen in every width that the packet path needs. `byteOffset` must be a multiple of eight. */
export class PacketMemory {
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Int32Array;
  readonly view: DataView;

  constructor(buffer: ArrayBufferLike, byteOffset: number, byteLength: number) {
    this.bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.halves = new Uint16Array(buffer, byteOffset, byteLength >> 1);
    this.words = new Int32Array(buffer, byteOffset, byteLength >> 2);
    this.view = new DataView(buffer, byteOffset, byteLength);
  }

  /** Memory of its own. `byteLength` must be a multiple of eight. */
  static allocate(byteLength: number): PacketMemory {
    return new PacketMemory(new ArrayBuffer(byteLength), 0, byteLength);
  }
}

/** Whether the request of at least `REQUEST_HEAD_BYTES` begins with the protocol id that a connect must carry. */
export function hasProtocolId(input: PacketMemory, offset: number): boolean {
  return (
    input.view.getInt32(offset) === PROTOCOL_ID_HIGH && input.view.getInt32(offset + 4) === PROTOCOL_ID_LOW
  );
}

/**
 * Reads an announce of `length` bytes, all but its address: the port goes to `request` later, with the source address
 * that only the socket knows. Returns what is wrong, `UdpFault.none` when nothing is.
 */
export function decodeAnnounce(
  input: PacketMemory,
  offset: number,
  length: number,
  request: AnnounceRequest,
): UdpFault {
  if (length < ANNOUNCE_REQUEST_BYTES) return UdpFault.announceTooShort;
  const view = input.view;
  const event = view.getInt32(offset + 80);
  // 4 is "paused" (BEP 21), which is no event for the swarm.
  if (event < 0 || event > 4) return UdpFault.badEvent;
  if (readAnnouncePort(input, offset) === 0) return UdpFault.zeroPort;
  const words = request.words;
  const source = input.words;
  const first = (offset + 16) >> 2;
  for (let i = 0; i < 2 * HASH_WORDS; i++) words[i] = source[first + i];
  words[AnnounceRequest.UPLOADED_WORD] = view.getInt32(offset + 72);
  words[AnnounceRequest.UPLOADED_WORD + 1] = view.getInt32(offset + 76);
  words[AnnounceRequest.DOWNLOADED_WORD] = view.getInt32(offset + 56);
  words[AnnounceRequest.DOWNLOADED_WORD + 1] = view.getInt32(offset + 60);
  words[AnnounceRequest.LEFT_WORD] = view.getInt32(offset + 64);
  words[AnnounceRequest.LEFT_WORD + 1] = view.getInt32(offset + 68);
  request.event = event === 4 ? AnnounceEvent.none : (event as AnnounceEvent); // checked to be 0 to 3 above
  const numWant = view.getInt32(offset + 92);
  request.numWant = numWant > 0 ? numWant : -1;
  return UdpFault.none;
}

/** The port that an announce of at least 98 bytes asks to be known by. */
export function readAnnouncePort(input: PacketMemory, offset: number): number {
  return input.view.getUint16(offset + 96);
}

/**
 * The URL data of an announce (BEP 41): path and query as the user wrote them into the announce URL, `''` when there
 * are none. Reading stops at the end of the options or at the first one that is cut short or unknown.
 */
export function readUrlData(input: PacketMemory, offset: number, length: number): string {
  const end = offset + length;
  let text = '';
  let at = offset + ANNOUNCE_REQUEST_BYTES;
  while (at < end) {
    const kind = input.bytes[at++];
    if (kind === 0x1) continue;
    if (kind !== 0x2 || at >= end) break;
    const size = input.bytes[at++];
    if (at + size > end) break;
    for (let i = 0; i < size; i++) text += String.fromCharCode(input.bytes[at + i]);
    at += size;
  }
  return text;
}

/** Checks the length of a scrape. Returns what is wrong, `UdpFault.none` when nothing is. */
export function checkScrape(length: number): UdpFault {
  if (length === REQUEST_HEAD_BYTES) return UdpFault.scrapeWithoutHash;
  return (length - REQUEST_HEAD_BYTES) % HASH_BYTES === 0 ? UdpFault.none : UdpFault.scrapeWithPartialHash;
}

/** Writes a connect reply. The transaction id is the one at `requestOffset + 12` of `input`. Returns its length. */
export function encodeConnectReply(
  output: PacketMemory,
  offset: number,
  transactionId: number,
  connectionIdHigh: number,
  connectionIdLow: number,
): number {
  const view = output.view;
  view.setInt32(offset, UdpAction.connect);
  view.setInt32(offset + 4, transactionId);
  view.setInt32(offset + 8, connectionIdHigh);
  view.setInt32(offset + 12, connectionIdLow);
  return CONNECT_REPLY_BYTES;
}

/** Writes the head of an announce reply; its compact peers are already at `offset + 20`. */
export function encodeAnnounceReplyHead(
  output: PacketMemory,
  offset: number,
  transactionId: number,
  intervalSeconds: number,
  leechers: number,
  seeders: number,
): void {
  const view = output.view;
  view.setInt32(offset, UdpAction.announce);
  view.setInt32(offset + 4, transactionId);
  view.setInt32(offset + 8, intervalSeconds);
  view.setInt32(offset + 12, leechers);
  view.setInt32(offset + 16, seeders);
}

/** Writes the head of a scrape reply. */
export function encodeScrapeReplyHead(output: PacketMemory, offset: number, transactionId: number): void {
  output.view.setInt32(offset, UdpAction.scrape);
  output.view.setInt32(offset + 4, transactionId);
}

/** Writes the entry number `index` of the scrape reply that begins at `offset`. */
export function encodeScrapeReplyEntry(
  output: PacketMemory,
  offset: number,
  index: number,
  entry: ScrapeEntry,
): void {
  const at = offset + SCRAPE_REPLY_HEAD_BYTES + index * SCRAPE_REPLY_ENTRY_BYTES;
  output.view.setInt32(at, entry.seeders);
  output.view.setInt32(at + 4, entry.completed);
  output.view.setInt32(at + 8, entry.leechers);
}

/**
 * Writes an error reply of at most `limitBytes`, its text cut to fit. Returns the bytes written: zero, which means
 * silence, when not even the head fits.
 */
export function encodeErrorReply(
  output: PacketMemory,
  offset: number,
  transactionId: number,
  text: string,
  limitBytes: number,
): number {
  if (limitBytes < ERROR_REPLY_HEAD_BYTES) return 0;
  output.view.setInt32(offset, UdpAction.error);
  output.view.setInt32(offset + 4, transactionId);
  const length = Math.min(text.length, limitBytes - ERROR_REPLY_HEAD_BYTES);
  const start = offset + ERROR_REPLY_HEAD_BYTES;
  for (let i = 0; i < length; i++) output.bytes[start + i] = text.charCodeAt(i);
  return ERROR_REPLY_HEAD_BYTES + length;
}
