/**
 * Probes a UDP tracker as a client would meet it: connect, announce, scrape, each measured, with retransmission after
 * losses (BEP 15). The peer that it announces is taken out of the swarm at the end.
 */
import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { AnnounceEvent, type AddressFamily } from '../protocol/model.ts';
import {
  decodeUdpReply,
  encodeAnnounceRequest,
  encodeConnectRequest,
  encodeScrapeRequest,
  type UdpReply,
} from '../protocol/udp-client.ts';
import {
  allOk,
  completeOptions,
  errorCode,
  makePeerId,
  microsSince,
  resolveHost,
  type ProbeOptions,
} from './probe.ts';
import type { ProbeFailure, ProbeResult, ProbeStep, ProbeStepName } from './result.ts';
import { displayUrl, type UdpTarget } from './target.ts';

/**
 * Requests sent for a step before it is given up. The waits double as BEP 15 says, but begin where their sum is the
 * time that the step may take: 1/7, 2/7 and 4/7 of it.
 */
const MAX_TRIES = 3;
const FIRST_WAIT = 1 / (2 ** MAX_TRIES - 1);

/** Failures of an announce after which the peer is surely in no swarm. */
const NOT_LISTED: readonly ProbeFailure['kind'][] = ['refused', 'network'];

/** A reply that answers a request, or why there is none. */
type Answer<Kind extends UdpReply['kind']> = { readonly micros: number; readonly tries: number } & (
  | { readonly kind: 'reply'; readonly reply: Extract<UdpReply, { kind: Kind }> }
  | { readonly kind: 'failed'; readonly failure: ProbeFailure; readonly transactionId: number | null }
);

/** Connects, announces and scrapes as the options say. Rejects only when the options break their own rules. */
export function probeUdp(target: UdpTarget, options: Partial<ProbeOptions> = {}): Promise<ProbeResult> {
  const complete = completeOptions(options);
  return runSession(target, complete, async (session) => {
    for (let round = 1; round <= complete.rounds; round++) {
      if (!(await session.askOnce(round))) break;
    }
    await session.stop();
  });
}

/** Connects and does nothing else: the least that shows a tracker to be alive. */
export function connectUdp(target: UdpTarget, options: Partial<ProbeOptions> = {}): Promise<ProbeResult> {
  return runSession(target, completeOptions(options), async (session) => {
    await session.connect(1);
  });
}

async function runSession(
  target: UdpTarget,
  options: ProbeOptions,
  ask: (session: UdpSession) => Promise<void>,
): Promise<ProbeResult> {
  const resolved = await resolveHost(target.host, options);
  const steps = [resolved];
  let remote: string | null = null;
  if (resolved.kind === 'ok' && resolved.name === 'resolve') {
    const { address, family } = resolved;
    remote = family === 4 ? `${address}:${target.port}` : `[${address}]:${target.port}`;
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    // What comes when nothing is awaited, such as a refusal after the time of a step, must not end the process.
    socket.on('error', () => undefined);
    try {
      await ask(new UdpSession(socket, address, family, target, options, steps));
    } finally {
      socket.close();
    }
  }
  return { protocol: 'udp', url: displayUrl(target), remote, ok: allOk(steps), steps };
}

/** One socket, one peer, one connection id at a time; every step that is done is added to `steps`. */
class UdpSession {
  readonly #socket: Socket;
  readonly #address: string;
  readonly #family: AddressFamily;
  readonly #target: UdpTarget;
  readonly #options: ProbeOptions;
  readonly #steps: ProbeStep[];
  readonly #peerId = makePeerId();
  readonly #clientKey = randomInt(2 ** 31);
  #isConnected = false;
  #connectionId = 0n;
  #isListed = false;
  #isFirstAnnounce = true;

  constructor(
    socket: Socket,
    address: string,
    family: AddressFamily,
    target: UdpTarget,
    options: ProbeOptions,
    steps: ProbeStep[],
  ) {
    this.#socket = socket;
    this.#address = address;
    this.#family = family;
    this.#target = target;
    this.#options = options;
    this.#steps = steps;
  }

  /** One round. Returns whether another would make sense. */
  async askOnce(round: number): Promise<boolean> {
    if (!(await this.connect(round))) return false;
    if (this.#options.ask !== 'scrape') await this.#announce(round);
    if (this.#options.ask !== 'announce') await this.#scrape(round);
    return !this.#options.signal?.aborted;
  }

  async connect(round: number): Promise<boolean> {
    const start = performance.now();
    const failure = await this.#openSocket();
    if (failure !== null) {
      const facts = { round, micros: microsSince(start), tries: 0 };
      this.#steps.push({ ...facts, name: 'connect', kind: 'failed', failure, transactionId: null });
      return false;
    }
    const answer = await this.#exchange('connect', encodeConnectRequest, this.#options.signal);
    if (answer.kind === 'failed') return this.#addFailure('connect', round, answer);
    this.#connectionId = answer.reply.connectionId;
    this.#addStep({ name: 'connect', kind: 'ok', round, micros: answer.micros, tries: answer.tries });
    return true;
  }

  async #announce(round: number): Promise<void> {
    const event = this.#isFirstAnnounce ? AnnounceEvent.started : AnnounceEvent.none;
    this.#isFirstAnnounce = false;
    const encode = (transactionId: number): Uint8Array => this.#encodeAnnounce(transactionId, event, -1);
    const answer = await this.#exchange('announce', encode, this.#options.signal);
    // A lost reply doesn't undo the announce.
    this.#isListed ||= answer.kind === 'reply' || !NOT_LISTED.includes(answer.failure.kind);
    if (answer.kind === 'failed') {
      this.#addFailure('announce', round, answer);
      return;
    }
    const { transactionId, intervalSeconds, seeders, leechers, peers } = answer.reply;
    this.#addStep({
      name: 'announce',
      kind: 'ok',
      round,
      micros: answer.micros,
      tries: answer.tries,
      announce: {
        transactionId,
        intervalSeconds,
        minIntervalSeconds: null,
        seeders,
        leechers,
        externalIp: null,
        warning: null,
        peers: peers.map((peer) => ({ ...peer, peerId: null })),
      },
    });
  }

  async #scrape(round: number): Promise<void> {
    const { infoHashes, signal } = this.#options;
    const encode = (transactionId: number): Uint8Array =>
      encodeScrapeRequest(this.#connectionId, transactionId, infoHashes);
    const answer = await this.#exchange('scrape', encode, signal);
    if (answer.kind === 'failed') {
      this.#addFailure('scrape', round, answer);
      return;
    }
    const { transactionId, entries } = answer.reply;
    const { micros, tries } = answer;
    if (entries.length !== infoHashes.length) {
      const reason = `${entries.length} entries for ${infoHashes.length} info hashes`;
      this.#addStep({
        name: 'scrape',
        kind: 'failed',
        round,
        micros,
        tries,
        failure: { kind: 'malformed', reason },
        transactionId,
      });
      return;
    }
    const named = entries.map((entry, i) => ({
      infoHash: Buffer.from(infoHashes[i]).toString('hex'),
      ...entry,
    }));
    this.#addStep({
      name: 'scrape',
      kind: 'ok',
      round,
      micros,
      tries,
      scrape: { transactionId, entries: named },
    });
  }

  /** Takes the peer out of the swarm if it may be in it, also after an abort. */
  async stop(): Promise<void> {
    if (!this.#isListed) return;
    const encode = (transactionId: number): Uint8Array =>
      this.#encodeAnnounce(transactionId, AnnounceEvent.stopped, 1);
    const answer = await this.#exchange('announce', encode, null);
    const round = this.#steps.at(-1)?.round ?? 1;
    if (answer.kind === 'failed') this.#addFailure('stop', round, answer);
    else this.#addStep({ name: 'stop', kind: 'ok', round, micros: answer.micros, tries: answer.tries });
  }

  #encodeAnnounce(transactionId: number, event: AnnounceEvent, numWant: number): Uint8Array {
    return encodeAnnounceRequest({
      connectionId: this.#connectionId,
      transactionId,
      infoHash: this.#options.infoHashes[0],
      peerId: this.#peerId,
      downloadedBytes: 0n,
      leftBytes: 0n,
      uploadedBytes: 0n,
      event,
      clientKey: this.#clientKey,
      numWant,
      port: this.#socket.address().port,
      urlData: this.#target.urlData,
    });
  }

  /** Connects the socket, so that only the tracker is heard, and a closed port is. */
  async #openSocket(): Promise<ProbeFailure | null> {
    if (this.#isConnected) return null;
    try {
      this.#socket.connect(this.#target.port, this.#address);
      await once(this.#socket, 'connect');
      this.#isConnected = true;
      return null;
    } catch (error) {
      return { kind: 'network', code: errorCode(error) };
    }
  }

  /** Sends a request, again after each wait, until its reply is there or the time is over. */
  #exchange<Kind extends 'connect' | 'announce' | 'scrape'>(
    expected: Kind,
    encode: (transactionId: number) => Uint8Array,
    signal: AbortSignal | null,
  ): Promise<Answer<Kind>> {
    const socket = this.#socket;
    const family = this.#family;
    const firstWaitMillis = this.#options.timeoutMillis * FIRST_WAIT;
    const transactionId = randomInt(-(2 ** 31), 2 ** 31);
    const request = encode(transactionId);
    const start = performance.now();
    const { promise, resolve } = Promise.withResolvers<Answer<Kind>>();
    let tries = 0;
    let timer: NodeJS.Timeout | undefined;

    const fail = (failure: ProbeFailure, id: number | null = null): void =>
      resolve({ kind: 'failed', failure, transactionId: id, micros: microsSince(start), tries });
    const send = (): void => {
      if (tries === MAX_TRIES) return fail({ kind: 'timeout', tries });
      timer = setTimeout(send, firstWaitMillis * 2 ** tries);
      tries++;
      socket.send(request, onSent);
    };
    const onSent = (error: Error | null): void => {
      if (error !== null) onError(error);
    };
    const onError = (error: Error): void => fail({ kind: 'network', code: errorCode(error) });
    const onAbort = (): void => fail({ kind: 'aborted' });
    const onMessage = (bytes: Uint8Array): void => {
      const reply = decodeUdpReply(bytes, family);
      if (reply.kind === 'malformed') return fail({ kind: 'malformed', reason: reply.reason });
      // Torrust Tracker 3.0.0 gives errors about requests that it can't read the transaction id 0.
      const isMine =
        reply.transactionId === transactionId || (reply.kind === 'error' && reply.transactionId === 0);
      if (!isMine) return;
      if (reply.kind === 'error') {
        return fail({ kind: 'refused', reason: reply.message, retryIn: null }, reply.transactionId);
      }
      if (reply.kind !== expected)
        return fail({ kind: 'malformed', reason: `${reply.kind} reply to ${expected}` });
      // TypeScript doesn't narrow a union by a type parameter; the line above did.
      const narrowed = reply as Extract<UdpReply, { kind: Kind }>;
      resolve({ kind: 'reply', reply: narrowed, micros: microsSince(start), tries });
    };

    socket.on('message', onMessage);
    socket.on('error', onError);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    else send();
    return promise.finally(() => {
      clearTimeout(timer);
      socket.off('message', onMessage);
      socket.off('error', onError);
      signal?.removeEventListener('abort', onAbort);
    });
  }

  #addStep(step: ProbeStep): void {
    this.#steps.push(step);
  }

  #addFailure(
    name: ProbeStepName,
    round: number,
    answer: { failure: ProbeFailure; transactionId: number | null; micros: number; tries: number },
  ): false {
    const { failure, transactionId, micros, tries } = answer;
    this.#addStep({ name, kind: 'failed', round, micros, tries, failure, transactionId });
    return false;
  }
}
