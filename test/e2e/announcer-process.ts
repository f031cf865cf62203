/**
 * Announces to a tracker every second until it is killed, from one port as clients do, and appends that an announce was
 * sent, and later what became of it, to a file, or else to its output (AnnounceLine in announcer.ts). BEP 15; over HTTP
 * each announce has a connection of its own.
 *
 *     node test/e2e/announcer-process.ts udp://ADDRESS:PORT/announce [FILE]
 */
import { createSocket } from 'node:dgram';
import { appendFileSync } from 'node:fs';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import {
  decodeUdpReply,
  encodeAnnounceRequest,
  encodeConnectRequest,
} from '../../tracker/protocol/udp-client.ts';
import type { AnnounceLine } from './announcer.ts';

/** The same are in announcer.ts: in a pod this file is alone with the tracker's modules (insider.ts). */
const INTERVAL_MILLIS = 1000;
/** An announce without an answer after this is lost. */
const PATIENCE_MILLIS = 5000;
/** BEP 15: a client uses a connection id for a minute. */
const ID_MILLIS = 60_000;
const INFO_HASH = Buffer.from('announced-each-second');
const PEER_ID = Buffer.from('-E20000-everysecond1');
const PEER_PORT = 6881;

const [address = '', file = ''] = process.argv.slice(2);
const url = new URL(address);
if (url.protocol === 'udp:') announceOverUdp();
else announceOverHttp();

function note(record: AnnounceLine): void {
  const line = `${JSON.stringify(record)}\n`;
  if (file === '') process.stdout.write(line);
  else appendFileSync(file, line);
}

function announceOverUdp(): void {
  const socket = createSocket('udp4');
  // While there is no way to the tracker the kernel says so; the announce is lost, and the next one is tried.
  socket.on('error', () => {});
  const send = (bytes: Uint8Array) => socket.send(bytes, Number(url.port), url.hostname, () => {});
  const pending = new Map<number, number>();
  let connectionId: bigint | undefined;
  let connectedAt = 0;
  let transactionId = 1;

  const announce = (id: bigint, transaction: number) =>
    send(
      encodeAnnounceRequest({
        connectionId: id,
        transactionId: transaction,
        infoHash: INFO_HASH.subarray(0, 20),
        peerId: PEER_ID,
        downloadedBytes: 0n,
        leftBytes: 0n,
        uploadedBytes: 0n,
        event: AnnounceEvent.none,
        clientKey: 1,
        numWant: -1,
        port: PEER_PORT,
        urlData: url.pathname,
      }),
    );
  socket.on('message', (bytes) => {
    const reply = decodeUdpReply(bytes, 4);
    if (reply.kind === 'malformed' || !pending.has(reply.transactionId)) return;
    if (reply.kind === 'connect') {
      connectionId = reply.connectionId;
      connectedAt = Date.now();
      announce(connectionId, reply.transactionId);
    }
    if (reply.kind === 'announce') {
      const sentAt = pending.get(reply.transactionId) ?? 0;
      pending.delete(reply.transactionId);
      note({ sentAt, millis: Date.now() - sentAt });
    }
    // A client that is refused asks for a new id.
    if (reply.kind === 'error') connectionId = undefined;
  });
  setInterval(() => {
    const now = Date.now();
    for (const [transaction, sentAt] of pending) {
      if (now - sentAt < PATIENCE_MILLIS) continue;
      pending.delete(transaction);
      note({ sentAt, millis: null });
    }
    transactionId += 1;
    pending.set(transactionId, now);
    note({ sentAt: now });
    if (now - connectedAt > ID_MILLIS) connectionId = undefined;
    if (connectionId === undefined) send(encodeConnectRequest(transactionId));
    else announce(connectionId, transactionId);
  }, INTERVAL_MILLIS);
}

function announceOverHttp(): void {
  const query = [
    `info_hash=${[...INFO_HASH.subarray(0, 20)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')}`,
    `peer_id=${PEER_ID.toString()}`,
    `port=${PEER_PORT}&left=0&uploaded=0&downloaded=0&compact=1`,
  ].join('&');
  setInterval(() => {
    const sentAt = Date.now();
    note({ sentAt });
    fetch(`${address}?${query}`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(PATIENCE_MILLIS),
    })
      .then(async (answer) => {
        const text = await answer.text();
        note({ sentAt, millis: text.includes('8:interval') ? Date.now() - sentAt : null });
      })
      .catch(() => note({ sentAt, millis: null }));
  }, INTERVAL_MILLIS);
}
