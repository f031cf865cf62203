/**
 * Those who use a tracker all the time while something goes wrong: a client that announces over UDP, as clients do, and
 * somebody who adds keys and torrents over the REST API. In the end they know what was lost.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeUdpReply, encodeConnectRequest } from '../../tracker/protocol/udp-client.ts';
import { announceTarget, get } from '../net/http-exchange.ts';
import { announceBytes } from '../net/udp-exchange.ts';
import { type PartialConfig, startTrackerProcess, type TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

export const TOKEN = 'a-token-of-the-test';
const authorization = `Bearer ${TOKEN}`;
const ANNOUNCE_PAUSE_MILLIS = 50;
const CHANGE_PAUSE_MILLIS = 50;
/** An announce without an answer for so long is lost. */
const PATIENCE_MILLIS = 5_000;
/** The tracker answers a change within five seconds, well or not. */
const CHANGE_PATIENCE_MILLIS = 20_000;
const LATE_MILLIS = 1_000;

/** What became of everything. */
export interface Testimony {
  readonly announces: { sent: number; answered: number; late: number; refused: number };
  readonly changes: { asked: number; acknowledged: number };
  /** What was acknowledged: a key and a torrent each. */
  readonly keys: readonly string[];
  readonly infoHashes: readonly string[];
}

export interface Witnesses {
  /** What they saw so far. */
  testimony(): Testimony;
  /** Waits until a change that is asked for from now on is acknowledged. Returns how long that took, in seconds. */
  changeGetsThrough(): Promise<number>;
  /** Ends them, when the last announce is answered or lost. */
  stop(): Promise<Testimony>;
}

/** Sets them to work at a public tracker with a UDP listener and the REST API. */
export function startWitnesses(context: TestContext, tracker: TrackerProcess): Witnesses {
  const stopping = new AbortController();
  context.after(() => stopping.abort());
  const announcer = startAnnouncer(context, tracker.udp[0].port, stopping.signal);
  const writer = startWriter(tracker.api, stopping.signal);
  const testimony = (): Testimony => ({
    announces: { ...announcer.counts },
    changes: { asked: writer.asked, acknowledged: writer.keys.length + writer.infoHashes.length },
    keys: [...writer.keys],
    infoHashes: [...writer.infoHashes],
  });
  return {
    testimony,
    async changeGetsThrough() {
      const begin = performance.now();
      const { acknowledged } = testimony().changes;
      await waitFor('a change to be acknowledged', () => testimony().changes.acknowledged > acknowledged);
      return (performance.now() - begin) / 1000;
    },
    async stop() {
      stopping.abort();
      await writer.ended;
      await waitFor('every announce to be answered or lost', () => announcer.waiting.size === 0);
      return testimony();
    },
  };
}

/** Says what they saw, as a line of the report. */
export function report(context: TestContext, { announces, changes }: Testimony, more = ''): void {
  const { sent, answered, late } = announces;
  context.diagnostic(
    `${context.name}: ${sent} announces, ${sent - answered} lost, ${late} late; ` +
      `${changes.asked} changes, ${changes.acknowledged} acknowledged, 0 of them lost${more}`,
  );
}

/**
 * Starts a tracker anew that serves nobody but with a key and a torrent that were acknowledged, and fails when one of
 * them is not served.
 */
export async function findAll(context: TestContext, config: PartialConfig, seen: Testimony): Promise<void> {
  const tracker = await startTrackerProcess(context, {
    ...config,
    core: { ...config.core, listed: true, private: true },
    http_trackers: [{ bind_address: '127.0.0.1:0' }],
  });
  const count = Math.max(seen.keys.length, seen.infoHashes.length);
  assert.ok(seen.keys.length > 0 && seen.infoHashes.length > 0, 'something was acknowledged');
  for (let i = 0; i < count; i++) {
    const key = seen.keys[Math.min(i, seen.keys.length - 1)];
    const infoHash = Buffer.from(seen.infoHashes[Math.min(i, seen.infoHashes.length - 1)], 'hex');
    const { body } = await get(tracker.http[0], announceTarget(infoHash, {}, key));
    assert.match(
      body,
      /8:complete/,
      `key ${i} and torrent ${i} of ${count}, which were acknowledged: ${body}`,
    );
  }
  assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
}

function startAnnouncer(context: TestContext, port: number, signal: AbortSignal) {
  const counts = { sent: 0, answered: 0, late: 0, refused: 0 };
  /** When the announce with a transaction id was sent. */
  const waiting = new Map<number, number>();
  const infoHash = randomBytes(20);
  const socket = createSocket('udp4');
  let connectionId: bigint | null = null;
  let transactionId = 0;
  socket.on('message', (bytes) => {
    const reply = decodeUdpReply(bytes, 4);
    if (reply.kind === 'connect') connectionId = reply.connectionId;
    if (reply.kind === 'error') {
      // The id is too old, or the clock went elsewhere: a client asks for another one and goes on.
      counts.refused++;
      connectionId = null;
    }
    if (reply.kind !== 'announce' && reply.kind !== 'error') return;
    const sentMillis = waiting.get(reply.transactionId);
    if (sentMillis === undefined) return;
    waiting.delete(reply.transactionId);
    counts.answered++;
    if (performance.now() - sentMillis > LATE_MILLIS) counts.late++;
  });
  // A port where nobody listens: the announce is lost.
  socket.on('error', () => undefined);
  const timer = setInterval(() => {
    const nowMillis = performance.now();
    for (const [id, sentMillis] of waiting) if (nowMillis - sentMillis > PATIENCE_MILLIS) waiting.delete(id);
    if (signal.aborted) return;
    if (connectionId === null) {
      socket.send(encodeConnectRequest(0), port, '127.0.0.1');
      return;
    }
    transactionId++;
    counts.sent++;
    waiting.set(transactionId, nowMillis);
    socket.send(announceBytes({ connectionId, transactionId, infoHash }), port, '127.0.0.1');
  }, ANNOUNCE_PAUSE_MILLIS);
  context.after(() => {
    clearInterval(timer);
    socket.close();
  });
  return { counts, waiting };
}

function startWriter(api: string, signal: AbortSignal) {
  const writer = { asked: 0, keys: [] as string[], infoHashes: [] as string[], ended: Promise.resolve() };
  const change = async (path: string): Promise<unknown> => {
    writer.asked++;
    const response = await fetch(`${api}/api/v1/${path}`, {
      method: 'POST',
      headers: { authorization },
      signal: AbortSignal.timeout(CHANGE_PATIENCE_MILLIS),
    });
    const body = await response.text();
    return response.ok ? JSON.parse(body) : null;
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const key = await change('key/86400');
      if (key !== null) writer.keys.push(keyOf(key));
      const infoHash = randomBytes(20).toString('hex');
      if ((await change(`whitelist/${infoHash}`)) !== null) writer.infoHashes.push(infoHash);
      await delay(CHANGE_PAUSE_MILLIS);
    }
  };
  writer.ended = run();
  return writer;
}

function keyOf(body: unknown): string {
  assert.ok(typeof body === 'object' && body !== null && 'key' in body && typeof body.key === 'string');
  return body.key;
}
