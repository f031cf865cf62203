/**
 * What every probe has in common: options, the identity it announces with, resolving, and the time of a step.
 */
import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { HASH_BYTES, type AddressFamily } from '../protocol/model.ts';
import type { ProbeFailure, ProbeStep } from './result.ts';

/** How a probe goes about it; what is left out has the value of `PROBE_DEFAULTS`. */
export interface ProbeOptions {
  /** What to ask. Both, by default. */
  readonly ask: 'announce' | 'scrape' | 'both';
  /** Info hashes of 20 bytes, 1 to 74: the first is announced, all are scraped. By default a random one. */
  readonly infoHashes: readonly Uint8Array[];
  /** The family of addresses to use, null for the resolver's choice. */
  readonly family: AddressFamily | null;
  /** The longest that a step may take. */
  readonly timeoutMillis: number;
  /** How often to connect and ask, one round after another. */
  readonly rounds: number;
  /** Whether peers are asked for in compact form; HTTP only. */
  readonly compact: boolean;
  /** Whether to accept any certificate; HTTPS only. */
  readonly insecure: boolean;
  /** The client's address for a tracker that believes who asks to be a proxy (`X-Forwarded-For`); HTTP only. */
  readonly forwardedFor: string | null;
  /** Ends the probe early; the peer is still taken out of the swarm. */
  readonly signal: AbortSignal | null;
}

/** Options but for the info hash, which is random for each probe. */
export const PROBE_DEFAULTS: Omit<ProbeOptions, 'infoHashes'> = {
  ask: 'both',
  family: null,
  timeoutMillis: 5000,
  rounds: 1,
  compact: true,
  insecure: false,
  forwardedFor: null,
  signal: null,
};

/** Client code and version at the begin of the peer id, in Azureus style (BEP 20). */
const PEER_ID_HEAD = '-TT0100-';

/** Every option with a value. */
export function completeOptions(options: Partial<ProbeOptions>): ProbeOptions {
  return { infoHashes: [randomBytes(HASH_BYTES)], ...PROBE_DEFAULTS, ...options };
}

/** A peer id that no other probe has. */
export function makePeerId(): Uint8Array {
  const tail = randomBytes((HASH_BYTES - PEER_ID_HEAD.length) / 2).toString('hex');
  return Buffer.from(PEER_ID_HEAD + tail, 'latin1');
}

/** Microseconds since `startMillis` of `performance.now()`, whole. */
export function microsSince(startMillis: number): number {
  return Math.round((performance.now() - startMillis) * 1000);
}

/** Whether every step went well. */
export function allOk(steps: readonly ProbeStep[]): boolean {
  return steps.every((step) => step.kind === 'ok');
}

/** The step of finding the address of `host`; a name with several is asked at the first. */
export async function resolveHost(host: string, options: ProbeOptions): Promise<ProbeStep> {
  const start = performance.now();
  const result = await findAddress(host, options);
  const facts = { name: 'resolve', round: 1, micros: microsSince(start), tries: 1 } as const;
  if ('failure' in result) return { ...facts, kind: 'failed', failure: result.failure, transactionId: null };
  return { ...facts, kind: 'ok', ...result };
}

async function findAddress(
  host: string,
  options: ProbeOptions,
): Promise<{ address: string; family: AddressFamily } | { failure: ProbeFailure }> {
  const { family, timeoutMillis, signal } = options;
  if (signal?.aborted) return { failure: { kind: 'aborted' } };
  const literal = isIP(host);
  if (literal !== 0 && family !== null && literal !== family)
    return { failure: { kind: 'unresolved', code: 'EAFNOSUPPORT' } };
  // The system's resolver can't be interrupted, so its answer may come when nobody waits for it any more.
  const late = Promise.withResolvers<{ failure: ProbeFailure }>();
  const timer = setTimeout(() => late.resolve({ failure: { kind: 'timeout', tries: 1 } }), timeoutMillis);
  const abort = (): void => late.resolve({ failure: { kind: 'aborted' } });
  signal?.addEventListener('abort', abort);
  try {
    return await Promise.race([lookupAddress(host, family), late.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

async function lookupAddress(
  host: string,
  family: AddressFamily | null,
): Promise<{ address: string; family: AddressFamily } | { failure: ProbeFailure }> {
  try {
    const found = await lookup(host, { family: family ?? 0 });
    return { address: found.address, family: found.family === 6 ? 6 : 4 };
  } catch (error) {
    return { failure: { kind: 'unresolved', code: errorCode(error) } };
  }
}

/** The code of an error of the system or of TLS; its name when it has none. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
