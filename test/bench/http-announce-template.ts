/**
 * An announce over HTTP as bytes that are ready to be sent (BEP 3, BEP 23): everything has a fixed width, so that only a
 * few bytes change from one to the next.
 */
import { allocateNative, type NativeMemory } from '../../tracker/net/native/libc.ts';
import { infoHashText, isLeecher, type LoadProfile } from './population.ts';

const HASH_CHARACTERS = 60;
const ID_DIGITS = 12;
const PORT_DIGITS = 5;

export class HttpAnnounceTemplate {
  /** The request, at the front of the memory. */
  readonly memory: NativeMemory;
  /** Its length. */
  readonly bytes: number;
  readonly #buffer: Buffer;
  readonly #hashAt: number;
  readonly #idAt: number;
  readonly #portAt: number;
  readonly #leftAt: number;
  /** The info hashes in percent escapes, one after the other. */
  readonly #hashes: Buffer;

  constructor(profile: LoadProfile, keepsAlive: boolean) {
    const query = [
      `info_hash=${'h'.repeat(HASH_CHARACTERS)}`,
      `peer_id=-BN0001-${'i'.repeat(ID_DIGITS)}`,
      `port=${'p'.repeat(PORT_DIGITS)}`,
      'uploaded=0&downloaded=0&left=9',
      `compact=1&numwant=${profile.numWant}`,
    ].join('&');
    const text = [
      `GET /announce?${query} HTTP/1.1`,
      'Host: 127.0.0.1',
      'User-Agent: bench/1.0',
      'Accept-Encoding: gzip',
      `Connection: ${keepsAlive ? 'keep-alive' : 'close'}`,
      '\r\n',
    ].join('\r\n');
    this.bytes = text.length;
    this.memory = allocateNative(text.length);
    this.#buffer = Buffer.from(this.memory.buffer);
    this.#buffer.write(text, 'latin1');
    this.#hashAt = text.indexOf('hhhhh');
    this.#idAt = text.indexOf('iiiii');
    this.#portAt = text.indexOf('ppppp');
    this.#leftAt = text.indexOf('left=') + 5;
    const escaped = Array.from({ length: profile.torrents }, (_, torrent) =>
      infoHashText(torrent).replace(/../g, '%$&'),
    );
    this.#hashes = Buffer.from(escaped.join(''), 'latin1');
  }

  /** Makes it the announce of an endpoint for a torrent. `port` has five digits. */
  fill(torrent: number, endpoint: number, port: number): void {
    const buffer = this.#buffer;
    const from = torrent * HASH_CHARACTERS;
    this.#hashes.copy(buffer, this.#hashAt, from, from + HASH_CHARACTERS);
    writeDigits(buffer, this.#idAt, ID_DIGITS, endpoint);
    writeDigits(buffer, this.#portAt, PORT_DIGITS, port);
    buffer[this.#leftAt] = isLeecher(endpoint) ? 0x39 : 0x30;
  }
}

function writeDigits(buffer: Buffer, at: number, digits: number, number: number): void {
  let rest = number;
  for (let k = at + digits - 1; k >= at; k--) {
    buffer[k] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}
