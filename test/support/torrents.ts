/**
 * Torrents for real clients: a file of random bytes and its metainfo (BEP 3).
 *
 * They are private (BEP 27), so that a client takes peers from the tracker alone and a transfer proves its peer list.
 */
import { createHash, randomBytes } from 'node:crypto';
import { encodeBencode, toByteString, type BencodeValue } from '../../tracker/protocol/bencode.ts';

/** A torrent of one file that exists nowhere else. */
export interface Torrent {
  /** The name of the file. */
  readonly name: string;
  readonly content: Uint8Array;
  /** The bytes of the .torrent file. */
  readonly metainfo: Uint8Array;
  /** 40 lowercase hex digits. */
  readonly infoHash: string;
}

const PIECE_BYTES = 16_384;
const DIGEST_BYTES = 20;

/** Makes a torrent of `contentBytes` random bytes that names one tracker, such as `udp://198.51.100.1:6969/announce`. */
export function createTorrent(announceUrl: string, contentBytes: number): Torrent {
  const content = randomBytes(contentBytes);
  const name = `${content.toString('hex', 0, 8)}.bin`;
  const info = new Map<string, BencodeValue>([
    ['length', content.length],
    ['name', toByteString(name)],
    ['piece length', PIECE_BYTES],
    ['pieces', hashPieces(content)],
    ['private', 1],
  ]);
  const metainfo = encodeBencode(
    new Map<string, BencodeValue>([
      ['announce', toByteString(announceUrl)],
      ['info', info],
    ]),
  );
  return { name, content, metainfo, infoHash: sha1(encodeBencode(info)).toString('hex') };
}

function hashPieces(content: Uint8Array): Uint8Array {
  const count = Math.ceil(content.length / PIECE_BYTES);
  const pieces = Buffer.alloc(count * DIGEST_BYTES);
  for (let index = 0; index < count; index += 1) {
    const start = index * PIECE_BYTES;
    sha1(content.subarray(start, start + PIECE_BYTES)).copy(pieces, index * DIGEST_BYTES);
  }
  return pieces;
}

function sha1(bytes: Uint8Array): Buffer {
  return createHash('sha1').update(bytes).digest();
}
