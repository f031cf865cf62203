/**
 * What a probe found out: one step after another, each with its time and either what it brought or why it failed.
 * Plain data without keys and tokens, so that it can be printed as JSON as it is.
 */
import type { AddressFamily } from '../protocol/model.ts';

/** Why a step failed. */
export type ProbeFailure =
  /** The name has no address of the wanted family; `code` is that of the resolver. */
  | { readonly kind: 'unresolved'; readonly code: string }
  | { readonly kind: 'timeout'; readonly tries: number }
  /** The system or TLS said no: `ECONNREFUSED`, `CERT_HAS_EXPIRED`... */
  | { readonly kind: 'network'; readonly code: string }
  /** An HTTP status other than 200 without a failure reason. Redirections are not followed. */
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'malformed'; readonly reason: string }
  /** The tracker answered with an error of its own, in its words; minutes to wait if it said so (BEP 31). */
  | { readonly kind: 'refused'; readonly reason: string; readonly retryIn: number | 'never' | null }
  | { readonly kind: 'aborted' };

/** A peer that a tracker named; `peerId` is hexadecimal, null when the form of the reply has none. */
export interface ProbePeer {
  readonly address: string;
  readonly port: number;
  readonly peerId: string | null;
}

/** What an announce was answered; null is what the reply didn't say. */
export interface ProbeAnnounce {
  /** UDP only. */
  readonly transactionId: number | null;
  readonly intervalSeconds: number;
  readonly minIntervalSeconds: number | null;
  readonly seeders: number | null;
  readonly leechers: number | null;
  /** The address that the tracker saw (BEP 24). */
  readonly externalIp: string | null;
  readonly warning: string | null;
  readonly peers: readonly ProbePeer[];
}

/** What a scrape tells of one torrent; the info hash is hexadecimal. */
export interface ProbeScrapeEntry {
  readonly infoHash: string;
  readonly seeders: number;
  readonly completed: number;
  readonly leechers: number;
}

export interface ProbeScrape {
  /** UDP only. */
  readonly transactionId: number | null;
  readonly entries: readonly ProbeScrapeEntry[];
}

/** Over HTTP, `connect` is the TCP connection with its TLS handshake. */
export type ProbeStepName = 'resolve' | 'connect' | 'announce' | 'scrape' | 'stop';

interface StepFacts {
  /** Counted from 1; resolving belongs to the first round, stopping to the last. */
  readonly round: number;
  readonly micros: number;
  /** Requests sent, more than one after losses; UDP only. */
  readonly tries: number;
}

export type ProbeStep = StepFacts &
  (
    | {
        readonly name: 'resolve';
        readonly kind: 'ok';
        readonly address: string;
        readonly family: AddressFamily;
      }
    | { readonly name: 'connect' | 'stop'; readonly kind: 'ok' }
    | { readonly name: 'announce'; readonly kind: 'ok'; readonly announce: ProbeAnnounce }
    | { readonly name: 'scrape'; readonly kind: 'ok'; readonly scrape: ProbeScrape }
    | {
        readonly name: ProbeStepName;
        readonly kind: 'failed';
        readonly failure: ProbeFailure;
        /** Of the error packet that refused the request; null when there was none. */
        readonly transactionId: number | null;
      }
  );

/** What became of probing one tracker. */
export interface ProbeResult {
  readonly protocol: 'udp' | 'http' | 'https';
  /** Scheme, host and port; path and query stay out, since they may hold a key. */
  readonly url: string;
  /** Address and port that were asked, null when the name could not be resolved. */
  readonly remote: string | null;
  /** Whether every step succeeded. */
  readonly ok: boolean;
  readonly steps: readonly ProbeStep[];
}

/** What became of requesting a health check. */
export interface HealthResult {
  readonly protocol: 'health';
  /** Without query and credentials. */
  readonly url: string;
  readonly micros: number;
  readonly outcome:
    | { readonly kind: 'answered'; readonly status: number; readonly statusText: string }
    | { readonly kind: 'failed'; readonly failure: ProbeFailure };
}

/** A sentence for people about a failure. Text from the tracker is part of it as it came. */
export function describeFailure(failure: ProbeFailure): string {
  switch (failure.kind) {
    case 'unresolved':
      return `the name has no such address (${failure.code})`;
    case 'timeout':
      return failure.tries > 1 ? `no answer in time (${failure.tries} tries)` : 'no answer in time';
    case 'network':
      return failure.code === 'ECONNREFUSED' ? 'nobody listens there (ECONNREFUSED)' : failure.code;
    case 'status':
      return `HTTP status ${failure.status}`;
    case 'malformed':
      return `bad reply: ${failure.reason}`;
    case 'refused': {
      const retry =
        failure.retryIn === null
          ? ''
          : `, retry in: ${failure.retryIn}${failure.retryIn === 'never' ? '' : ' min'}`;
      return `refused: ${failure.reason}${retry}`;
    }
    case 'aborted':
      return 'aborted';
  }
}
