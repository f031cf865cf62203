/**
 * A load as a small tracker has it: a few dozen clients that come, announce over UDP and HTTP, scrape, complete, and go,
 * with some mistakes among them.
 */
import { createSocket, type Socket } from 'node:dgram';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import {
  decodeUdpReply,
  encodeAnnounceRequest,
  encodeConnectRequest,
  encodeScrapeRequest,
} from '../../tracker/protocol/udp-client.ts';

const TORRENTS = 40;
const CLIENTS = 60;
const PAUSE_MILLIS = 25;

export interface LoadTargets {
  readonly udp: readonly SocketAddress[];
  /** Base URLs. */
  readonly http: readonly string[];
}

/** Asks until the signal comes; one request of each kind about every `PAUSE_MILLIS`. What fails is left alone. */
export async function gentleLoad({ udp, http }: LoadTargets, signal: AbortSignal): Promise<void> {
  const sockets = udp.map((tracker) => new LoadSocket(tracker));
  try {
    for (let round = 0; !signal.aborted; round++) {
      for (const socket of sockets) socket.ask(round);
      for (const base of http) void askHttp(base, round, signal);
      await sleep(PAUSE_MILLIS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    for (const socket of sockets) socket.close();
  }
}

class LoadSocket {
  readonly #socket: Socket;
  readonly #tracker: SocketAddress;
  #connectionId: bigint | null = null;

  constructor(tracker: SocketAddress) {
    this.#tracker = tracker;
    this.#socket = createSocket(tracker.family === 4 ? 'udp4' : 'udp6');
    this.#socket.on('error', () => undefined);
    this.#socket.on('message', (datagram) => {
      const reply = decodeUdpReply(datagram, tracker.family);
      if (reply.kind === 'connect') this.#connectionId = reply.connectionId;
    });
  }

  ask(round: number): void {
    const connectionId = this.#connectionId;
    if (connectionId === null || round % 50 === 0) this.#send(encodeConnectRequest(round));
    if (connectionId === null) return;
    const infoHash = infoHashOf(round);
    // Now and then somebody comes with an id of yesterday, or of their own making.
    const id = round % 40 === 7 ? connectionId ^ 1n : connectionId;
    this.#send(
      encodeAnnounceRequest({
        connectionId: id,
        transactionId: round,
        infoHash,
        peerId: peerIdOf(round),
        downloadedBytes: 0n,
        leftBytes: round % 3 === 0 || completes(round) ? 0n : 1_000n,
        uploadedBytes: 0n,
        event: eventOf(round),
        clientKey: 0,
        numWant: 50,
        port: 10_000 + (round % CLIENTS),
        urlData: '',
      }),
    );
    if (round % 10 === 0) {
      this.#send(encodeScrapeRequest(connectionId, round, [infoHash]));
    }
    if (round % 60 === 9) this.#send(Buffer.alloc(5));
  }

  close(): void {
    this.#socket.close();
  }

  #send(datagram: Uint8Array): void {
    this.#socket.send(datagram, this.#tracker.port, this.#tracker.host, () => undefined);
  }
}

async function askHttp(base: string, round: number, signal: AbortSignal): Promise<void> {
  const hash = percentEncoded(infoHashOf(round));
  const target =
    round % 10 === 3
      ? `scrape?info_hash=${hash}`
      : round % 40 === 5
        ? 'announce?info_hash=short'
        : `announce?info_hash=${hash}&peer_id=${percentEncoded(peerIdOf(round))}&port=${20_000 + (round % CLIENTS)}&uploaded=0&downloaded=0&left=${round % 2}`;
  try {
    const response = await fetch(`${base}/${target}`, { signal });
    await response.arrayBuffer();
  } catch {
    // The tracker is going, or gone.
  }
}

/** A client meets a torrent again after so many rounds. */
const CYCLE_ROUNDS = 120;

/** Whether a leecher has it all now: every second time that some of them come. In between they begin anew. */
function completes(round: number): boolean {
  return round % 30 === 4 && Math.floor(round / CYCLE_ROUNDS) % 2 === 1;
}

function eventOf(round: number): AnnounceEvent {
  if (completes(round)) return AnnounceEvent.completed;
  return round % 31 === 0 ? AnnounceEvent.stopped : AnnounceEvent.none;
}

function infoHashOf(round: number): Buffer {
  return createHash('sha1')
    .update(`torrent ${round % TORRENTS}`)
    .digest();
}

function peerIdOf(round: number): Buffer {
  return Buffer.from(`-TT0001-client${String(round % CLIENTS).padStart(6, '0')}`);
}

function percentEncoded(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}
