/**
 * What may come to a UDP tracker, good and bad, and what each datagram deserves: told from the specification (BEP 15 and
 * the error texts of Torrust Tracker), not by the code that is tested.
 */
import { readFileSync } from 'node:fs';
import type { Counts } from '../net/tracker-threads.ts';
import { mutate, type Random } from './random.ts';

/** What the first eight bytes of a datagram are to the tracker, when it looks at them as a connection id. */
export type IdKind = 'valid' | 'otherAddress' | 'expired' | 'forged';
/** A connection id of each kind. */
export type Ids = Readonly<Record<IdKind, bigint>>;

export interface Datagram {
  readonly bytes: Buffer;
  readonly id: IdKind;
}

/** What a datagram deserves: silence, a text, or a reply of its own kind. */
export type Deserts =
  | { readonly kind: 'silence' }
  | { readonly kind: 'error'; readonly text: string }
  | { readonly kind: 'connect' }
  | { readonly kind: 'announce' }
  | { readonly kind: 'scrape'; readonly hashes: number };

const PROTOCOL_ID = 0x41727101980n;
/** Bytes that a tracker reads of a datagram; the rest is cut. */
const RECEIVE_BYTES = 1496;
const MAX_REPLY_BYTES = 1472;
const MAX_DATAGRAM_BYTES = 4_000;
const MAX_SCRAPE_HASHES = 74;

/** Datagrams of the corpus, with zeroes for a connection id. */
const CORPUS = readCorpus();

const PIECES = [
  '00000000',
  '00000001',
  '00000002',
  '00000003',
  '00000004',
  '00000005',
  'ffffffff',
  '7fffffff',
  '80000000',
  '0000041727101980',
  '00',
  '01',
  '0200',
  '02ff',
  '02092f616e6e6f756e6365',
  'ffff',
].map((hex) => Buffer.from(hex, 'hex'));

/** A datagram from the corpus, as it is or changed, or of random bytes. Every announce is of an info hash of its own. */
export function makeDatagram(random: Random, ids: Ids): Datagram {
  let bytes: Buffer;
  if (random.oneIn(10)) bytes = random.bytes(random.below(random.oneIn(8) ? MAX_DATAGRAM_BYTES : 120));
  else {
    const known = random.pick(CORPUS);
    bytes = random.oneIn(4)
      ? Buffer.from(known)
      : Buffer.concat([
          known.subarray(0, 8),
          mutate(random, known.subarray(8), PIECES, MAX_DATAGRAM_BYTES - 8),
        ]);
  }
  const id = random.oneIn(3) ? random.pick(['otherAddress', 'expired', 'forged'] as const) : 'valid';
  if (bytes.length < 16) return { bytes, id };
  const action = bytes.readInt32BE(8);
  if (action === 0) {
    if (!random.oneIn(3)) bytes.writeBigInt64BE(PROTOCOL_ID);
  } else bytes.writeBigInt64BE(ids[id]);
  if (action === 1 && bytes.length >= 36) random.bytes(20).copy(bytes, 16);
  return { bytes, id };
}

/** What a public tracker that verifies connection ids owes to a datagram. */
export function desertsOf({ bytes, id }: Datagram): Deserts {
  const length = Math.min(bytes.length, RECEIVE_BYTES);
  if (length < 16) return { kind: 'silence' };
  const badRequest = (text: string): Deserts => ({ kind: 'error', text: `bad request: ${text}` });
  const known = (deserts: Deserts): Deserts =>
    id === 'valid' ? deserts : { kind: 'error', text: 'connection id could not be verified' };
  switch (bytes.readInt32BE(8)) {
    case 0:
      return bytes.readBigInt64BE() === PROTOCOL_ID
        ? { kind: 'connect' }
        : badRequest('Protocol identifier missing');
    case 1: {
      if (length < 98) return badRequest('invalid data');
      const event = bytes.readInt32BE(80);
      if (event < 0 || event > 4) return badRequest('Invalid announce event');
      return bytes.readUInt16BE(96) === 0 ? badRequest("Port can't be 0") : known({ kind: 'announce' });
    }
    case 2: {
      if (length === 16) return badRequest('Full scrapes are not allowed');
      if ((length - 16) % 20 !== 0) return badRequest('Invalid info hash list');
      return known({ kind: 'scrape', hashes: Math.min(MAX_SCRAPE_HASHES, (length - 16) / 20) });
    }
    default:
      return badRequest('Invalid action');
  }
}

/** The counters that a datagram moves. */
export function countsOf(datagram: Datagram, family: 4 | 6): Counts {
  const deserts = desertsOf(datagram);
  if (deserts.kind === 'silence') return { udp_requests_discarded: 1 };
  const both = { [`udp${family}_requests`]: 1, [`udp${family}_responses`]: 1 };
  if (deserts.kind !== 'error') {
    const noun = { connect: 'connections', announce: 'announces', scrape: 'scrapes' }[deserts.kind];
    return { ...both, [`udp${family}_${noun}_handled`]: 1 };
  }
  const error = { ...both, [`udp${family}_errors_handled`]: 1 };
  if (deserts.text.startsWith('bad request')) return error;
  const idCounter = {
    valid: '',
    otherAddress: 'connection_id_other_address',
    expired: 'connection_id_expired',
    forged: 'connection_id_forged',
  }[datagram.id];
  return { ...error, [idCounter]: 1 };
}

/** What is wrong with the reply to a datagram (`null` for silence), in a few words; undefined when nothing is. */
export function faultOfReply(datagram: Datagram, reply: Buffer | null, family: 4 | 6): string | undefined {
  const deserts = desertsOf(datagram);
  if (deserts.kind === 'silence' || reply === null) {
    return deserts.kind === 'silence' && reply === null ? undefined : `${deserts.kind} is owed`;
  }
  const asked = Math.min(datagram.bytes.length, RECEIVE_BYTES);
  const isProven = datagram.id === 'valid' && deserts.kind !== 'connect' && deserts.kind !== 'error';
  if (!isProven && reply.length > datagram.bytes.length) return 'it is larger than the request';
  if (reply.length > MAX_REPLY_BYTES) return 'it is larger than any may be';
  if (reply.readInt32BE(4) !== datagram.bytes.readInt32BE(12)) return 'the transaction id is another';
  switch (deserts.kind) {
    case 'error': {
      const text = deserts.text.slice(0, Math.min(asked, MAX_REPLY_BYTES) - 8);
      return reply.readInt32BE(0) === 3 && reply.toString('latin1', 8) === text
        ? undefined
        : `"${text}" is owed`;
    }
    case 'connect':
      return reply.readInt32BE(0) === 0 && reply.length === 16 ? undefined : 'a connection id is owed';
    case 'scrape':
      return reply.readInt32BE(0) === 2 && reply.length === 8 + 12 * deserts.hashes
        ? undefined
        : `${deserts.hashes} entries are owed`;
    case 'announce':
      return reply.readInt32BE(0) === 1 && (reply.length - 20) % (family === 4 ? 6 : 18) === 0
        ? undefined
        : 'whole peers are owed';
  }
}

function readCorpus(): Buffer[] {
  const text = readFileSync(new URL('./corpus/datagrams.json', import.meta.url), 'utf8');
  // The file is ours: names, and datagrams in hex.
  const entries = JSON.parse(text) as Record<string, string>;
  return Object.values(entries).map((hex) => Buffer.from(hex, 'hex'));
}
