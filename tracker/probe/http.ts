/**
 * Probes an HTTP or HTTPS tracker as a client would meet it: a connection for each request, announce, scrape, each
 * measured. The peer that it announces is taken out of the swarm at the end.
 */
import { randomInt } from 'node:crypto';
import { httpGet, type HttpGetResult } from './http-get.ts';
import { readAnnounceReply, readScrapeReply } from './http-values.ts';
import { allOk, completeOptions, makePeerId, resolveHost, type ProbeOptions } from './probe.ts';
import type { ProbeFailure, ProbeResult, ProbeStep, ProbeStepName } from './result.ts';
import { displayUrl, type HttpTarget } from './target.ts';

/** Ports that no service is registered for; the probe listens at none of them. */
const FIRST_PRIVATE_PORT = 49152;
const LAST_PORT = 65535;

/** Failures of an announce, once connected, after which the peer is surely in no swarm. */
const NOT_LISTED: readonly ProbeFailure['kind'][] = ['refused', 'status'];

/** Announces and scrapes as the options say. Never rejects for what the tracker does. */
export async function probeHttp(
  target: HttpTarget,
  options: Partial<ProbeOptions> = {},
): Promise<ProbeResult> {
  const complete = completeOptions(options);
  const resolved = await resolveHost(target.host, complete);
  const steps = [resolved];
  let remote: string | null = null;
  if (resolved.kind === 'ok' && resolved.name === 'resolve') {
    const { address, family } = resolved;
    remote = family === 4 ? `${address}:${target.port}` : `[${address}]:${target.port}`;
    const session = new HttpSession(address, target, complete, steps);
    for (let round = 1; round <= complete.rounds; round++) {
      if (!(await session.askOnce(round))) break;
    }
    await session.stop();
  }
  const protocol = target.secure ? 'https' : 'http';
  return { protocol, url: displayUrl(target), remote, ok: allOk(steps), steps };
}

/** One peer; every step that is done is added to `steps`. */
class HttpSession {
  readonly #address: string;
  readonly #target: HttpTarget;
  readonly #options: ProbeOptions;
  readonly #steps: ProbeStep[];
  readonly #peerId = makePeerId();
  readonly #port = randomInt(FIRST_PRIVATE_PORT, LAST_PORT + 1);
  #isListed = false;
  #isFirstAnnounce = true;

  constructor(address: string, target: HttpTarget, options: ProbeOptions, steps: ProbeStep[]) {
    this.#address = address;
    this.#target = target;
    this.#options = options;
    this.#steps = steps;
  }

  /** One round: every request has a connection of its own, and the first one's is a step. Returns whether to go on. */
  async askOnce(round: number): Promise<boolean> {
    const { ask, infoHashes, signal } = this.#options;
    let isConnected = false;
    if (ask !== 'scrape') {
      const event = this.#isFirstAnnounce ? 'started' : '';
      this.#isFirstAnnounce = false;
      const got = await this.#get(this.#target.announcePath, this.#announceParameters(event, null), signal);
      isConnected = this.#addConnect(round, got);
      if (!isConnected) return false;
      this.#addAnnounce(round, got);
    }
    if (ask !== 'announce') {
      const parameters = infoHashes.map((infoHash) => `info_hash=${percentEncode(infoHash)}`);
      const got = await this.#get(this.#target.scrapePath, parameters, signal);
      if (!isConnected && !this.#addConnect(round, got)) return false;
      this.#addScrape(round, got);
    }
    return !signal?.aborted;
  }

  /** Takes the peer out of the swarm if it may be in it, also after an abort. */
  async stop(): Promise<void> {
    if (!this.#isListed) return;
    const round = this.#steps.at(-1)?.round ?? 1;
    const got = await this.#get(this.#target.announcePath, this.#announceParameters('stopped', 0), null);
    const reply = got.kind === 'failed' ? got : readAnnounceReply(got.status, got.body);
    if (reply.kind === 'failed') this.#addFailure('stop', round, got.micros, reply.failure);
    else this.#steps.push({ name: 'stop', kind: 'ok', round, micros: got.micros, tries: 1 });
  }

  #get(path: string, parameters: readonly string[], signal: AbortSignal | null): Promise<HttpGetResult> {
    const { secure, host, port, query } = this.#target;
    const { timeoutMillis, insecure, forwardedFor } = this.#options;
    const pieces = query === '' ? parameters : [query, ...parameters];
    const fullPath = `${path}?${pieces.join('&')}`;
    return httpGet({
      secure,
      host,
      port,
      address: this.#address,
      path: fullPath,
      timeoutMillis,
      insecure,
      ...(forwardedFor !== null && { headers: { 'x-forwarded-for': forwardedFor } }),
      signal,
    });
  }

  #announceParameters(event: string, numWant: number | null): string[] {
    return [
      `info_hash=${percentEncode(this.#options.infoHashes[0])}`,
      `peer_id=${percentEncode(this.#peerId)}`,
      `port=${this.#port}`,
      'uploaded=0',
      'downloaded=0',
      'left=0',
      `compact=${this.#options.compact ? 1 : 0}`,
      ...(event === '' ? [] : [`event=${event}`]),
      ...(numWant === null ? [] : [`numwant=${numWant}`]),
    ];
  }

  #addConnect(round: number, got: HttpGetResult): boolean {
    if (got.connectMicros !== null) {
      this.#steps.push({ name: 'connect', kind: 'ok', round, micros: got.connectMicros, tries: 1 });
      return true;
    }
    const failure: ProbeFailure = got.kind === 'failed' ? got.failure : { kind: 'network', code: 'unknown' };
    this.#addFailure('connect', round, got.micros, failure);
    return false;
  }

  #addAnnounce(round: number, got: HttpGetResult): void {
    const reply = got.kind === 'failed' ? got : readAnnounceReply(got.status, got.body);
    // A lost reply doesn't undo the announce.
    this.#isListed ||= reply.kind === 'value' || !NOT_LISTED.includes(reply.failure.kind);
    if (reply.kind === 'failed') {
      this.#addFailure('announce', round, got.micros, reply.failure);
      return;
    }
    this.#steps.push({
      name: 'announce',
      kind: 'ok',
      round,
      micros: got.micros,
      tries: 1,
      announce: reply.value,
    });
  }

  #addScrape(round: number, got: HttpGetResult): void {
    const reply =
      got.kind === 'failed' ? got : readScrapeReply(got.status, got.body, this.#options.infoHashes);
    if (reply.kind === 'failed') {
      this.#addFailure('scrape', round, got.micros, reply.failure);
      return;
    }
    this.#steps.push({
      name: 'scrape',
      kind: 'ok',
      round,
      micros: got.micros,
      tries: 1,
      scrape: reply.value,
    });
  }

  #addFailure(name: ProbeStepName, round: number, micros: number, failure: ProbeFailure): void {
    this.#steps.push({ name, kind: 'failed', round, micros, tries: 1, failure, transactionId: null });
  }
}

/** Every byte that isn't unreserved (RFC 3986) as an escape. */
function percentEncode(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    return /[0-9A-Za-z._~-]/.test(character)
      ? character
      : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`;
  }).join('');
}
