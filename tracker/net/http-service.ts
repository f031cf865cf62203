/**
 * An HTTP listener's answers: a request target and an address in, a status and a body out (BEP 3, 7, 21, 23, 24, 27, 31,
 * 48). Knows no socket; one object per listener and thread. An announce that succeeds allocates nothing.
 */
import type { AddressFamily, AnnounceRequest } from '../protocol/model.ts';
import { HASH_BYTES, HASH_WORDS, PeerAddress, ScrapeEntry, SwarmChange } from '../protocol/model.ts';
import {
  announceReplyBound,
  encodeAnnounceReply,
  encodeFailure,
  encodeScrapeReplyEntry,
  encodeScrapeReplyHead,
  encodeScrapeReplyTail,
  FAILURE_CONTENT_TYPE,
  HttpAnnounceReply,
  type RetryIn,
  scrapeReplyBound,
  SUCCESS_CONTENT_TYPE,
} from '../protocol/http-reply.ts';
import { decodeAnnounceQuery, decodeScrapeQuery, HttpAnnounce, HttpScrape } from '../protocol/http-query.ts';
import {
  HttpRoute,
  HttpTarget,
  MALFORMED_KEY_FAILURE,
  matchRoute,
  PathKey,
  readPathKey,
} from '../protocol/http-route.ts';
import { MAX_HEADER_BYTES, MAX_LINE_OVERHEAD } from '../protocol/http-request.ts';
import { findHeader } from '../protocol/http-header.ts';
import { readIpText } from '../protocol/ip-text.ts';
import type { Gate } from '../gate.ts';
import { Counter, LATENCIES_AT, REFUSALS_AT, TURNOVER_AT } from '../swarm/counters.ts';
import { HTTP_SAMPLE_EVERY, LatencyKind, recordLatency } from '../swarm/latencies.ts';
import { refusalPlace, RefusalReason, RequestKind } from '../swarm/refusals.ts';
import { countChange } from '../swarm/turnover.ts';
import { type Tracker, Verdict } from '../tracker.ts';
import { parseExternalAddress, publicAddress } from './external-address.ts';
import { Introduction } from './introduction.ts';
import type { HttpListenerSetup, HttpLiveSettings } from './listener.ts';
import type { RequestTraces } from './request-traces.ts';
import { ProxiedAddress } from './proxied-address.ts';
import { BANNED_TEXT, LOCAL_SOURCE_TEXT, TOO_MANY_REQUESTS_TEXT, verdictText } from './verdict-text.ts';

/**
 * The longest request target; longer ones are for the socket to refuse. Torrust Tracker's own limit, which is that of its
 * library: the `http` crate takes no longer URI.
 */
export const MAX_TARGET_BYTES = 65_534;
/** The longest request head: the target, what stands around it in its line, and the headers. */
export const MAX_HEAD_BYTES = MAX_TARGET_BYTES + MAX_LINE_OVERHEAD + MAX_HEADER_BYTES;
/** The most peers of a reply; the configuration allows no more. */
const MAX_PEERS = 1000;
/** More info hashes don't fit into a target: each takes at least `info_hash=` and 20 bytes. */
const MAX_HASHES = Math.ceil(MAX_TARGET_BYTES / 31);

/** The largest body of an answer. */
export const MAX_BODY_BYTES = Math.max(announceReplyBound(MAX_PEERS), scrapeReplyBound(MAX_HASHES));

/** The status of a request beyond the limits that is no announce or scrape (RFC 6585); those fail with a reason. */
const TOO_MANY_REQUESTS = 429;
const HEALTH_BODY = Buffer.from('{"status":"Ok"}');
const JSON_CONTENT_TYPE = 'application/json';
const NO_FORWARDED_ADDRESS =
  'Error resolving peer IP: missing or invalid the right most X-Forwarded-For IP (mandatory on reverse proxy tracker configuration)';

/** What answers HTTP requests in a thread. */
export interface HttpServices {
  readonly tracker: Tracker;
  readonly gate: Gate;
  /** The thread's row of counters. */
  readonly counters: Float64Array;
  /** Absent: nothing is traced. */
  readonly traces?: RequestTraces | undefined;
}

export class HttpService {
  /** Where `answer` puts the body. */
  readonly body: Uint8Array;
  /** What the socket reads in front of a connection's requests. */
  readonly introduction: Introduction;
  /** Status and content type of the last answer; no content type when there is no body. */
  status = 0;
  contentType = '';
  /**
   * The trace that the next request belongs to (W3C Trace Context): its headers of these names, several of one joined by
   * commas. The socket sets them when `isTraced`.
   */
  traceparent = '';
  tracestate = '';

  readonly #setup: HttpListenerSetup;
  readonly #tracker: Tracker;
  readonly #gate: Gate;
  readonly #counters: Float64Array;
  readonly #traces: RequestTraces | undefined;
  readonly #external: PeerAddress | null;
  readonly #target = new HttpTarget();
  readonly #announce = new HttpAnnounce();
  readonly #reply = new HttpAnnounceReply(MAX_PEERS);
  readonly #scrape = new HttpScrape(MAX_HASHES);
  readonly #entry = new ScrapeEntry();
  readonly #queryAddress = new PeerAddress();
  #live: HttpLiveSettings;
  #proxied: ProxiedAddress;
  /** What the request at hand asks. */
  #kind: RequestKind = RequestKind.other;
  /** Why the last request that was not served was not. */
  #reason: RefusalReason = RefusalReason.malformed;
  /** How many announces and scrapes come before the next that is measured. */
  #untilMeasured: number = HTTP_SAMPLE_EVERY;

  /** `body`: `MAX_BODY_BYTES` for the answers; memory of its own when left out. */
  constructor(
    setup: HttpListenerSetup,
    { tracker, gate, counters, traces }: HttpServices,
    body: Uint8Array = new Uint8Array(MAX_BODY_BYTES),
  ) {
    this.body = body;
    this.#setup = setup;
    this.#tracker = tracker;
    this.#gate = gate;
    this.#counters = counters;
    this.#traces = traces;
    this.#external = parseExternalAddress(setup.externalIp);
    this.#live = setup.live;
    this.introduction = new Introduction(gate, counters, 'stream', setup.live.readsProxyHeaders);
    this.#proxied = new ProxiedAddress(setup.live.trustedProxies);
  }

  /** Takes over changed settings. */
  update(live: HttpLiveSettings): void {
    this.#live = live;
    this.introduction.isOn = live.readsProxyHeaders;
    this.#proxied = new ProxiedAddress(live.trustedProxies);
  }

  /** Looks at the clocks. The socket calls it once for each batch of requests. */
  readClock(): void {
    this.#tracker.readClock();
    this.#gate.readClock(this.#tracker.wallSeconds);
  }

  /** Whether the target from `start` to `end` of `bytes` is served at all. */
  knows(bytes: Uint8Array, start: number, end: number): boolean {
    return matchRoute(bytes, start, end, this.#target) !== HttpRoute.none;
  }

  /**
   * Answers a GET of the target from `start` to `end` of `bytes`, on a connection from `source`, with the joined
   * `X-Forwarded-For` headers (`''` for none). Sets `status` and `contentType`, and returns the bytes of `body`.
   */
  answer(bytes: Uint8Array, start: number, end: number, source: PeerAddress, forwardedFor: string): number {
    this.status = 200;
    const route = matchRoute(bytes, start, end, this.#target);
    switch (route) {
      case HttpRoute.announce:
      case HttpRoute.scrape:
        this.#kind = route === HttpRoute.announce ? RequestKind.announce : RequestKind.scrape;
        if (this.#traces !== undefined) return this.#serveTraced(this.#traces, bytes, source, forwardedFor);
        if (--this.#untilMeasured > 0) return this.#serve(bytes, source, forwardedFor);
        return this.#serveMeasured(bytes, source, forwardedFor);
      case HttpRoute.healthCheck:
        if (!this.#admits(this.#clientOf(source, forwardedFor) ?? source)) {
          this.#kind = RequestKind.healthCheck;
          return this.#end(this.#limit(source.family));
        }
        this.#count(source.family === 4 ? Counter.tcp4_health_checks : Counter.tcp6_health_checks);
        this.contentType = JSON_CONTENT_TYPE;
        this.body.set(HEALTH_BODY);
        return HEALTH_BODY.length;
      case HttpRoute.none:
        return this.#end(this.refuse(source, forwardedFor, 404));
    }
  }

  /**
   * Counts a request that is refused before it gets here, since its method or its head is none that is served. Returns the
   * status of the answer: `status`, or another when its client asks too much.
   */
  refuse(source: PeerAddress, forwardedFor: string, status: number): number {
    this.#kind = RequestKind.other;
    if (!this.#admits(this.#clientOf(source, forwardedFor) ?? source)) return this.#limit(source.family);
    this.#countRefusal(source.family, RefusalReason.malformed);
    return status;
  }

  /** Whether the connections of addresses are counted. Behind a reverse proxy there are none of clients. */
  get limitsConnections(): boolean {
    return this.#gate.limitsConnections && !this.#setup.onReverseProxy;
  }

  /** As that of the gate. */
  admitConnection(source: PeerAddress): number | null {
    return this.limitsConnections ? this.#gate.admitConnection(source) : 0;
  }

  /** As that of the gate. */
  releaseConnection(held: number): void {
    this.#gate.releaseConnection(held);
  }

  /** Counts a reply that was sent, of whatever status. */
  countSent(family: AddressFamily): void {
    this.#count(family === 4 ? Counter.tcp4_responses : Counter.tcp6_responses);
  }

  /** Reads the trace of a request from its header lines, when requests are traced. */
  readTrace(bytes: Uint8Array, start: number, end: number): void {
    if (!this.isTraced) return;
    this.traceparent = findHeader(bytes, start, end, 'traceparent');
    this.tracestate = this.traceparent === '' ? '' : findHeader(bytes, start, end, 'tracestate');
  }

  /** Whether requests are traced, so that a socket has to tell their traces. */
  get isTraced(): boolean {
    return this.#traces !== undefined;
  }

  #serveTraced(traces: RequestTraces, bytes: Uint8Array, source: PeerAddress, forwardedFor: string): number {
    const { family } = source;
    const beganMillis = performance.now();
    const bodyBytes = this.#serveMeasured(bytes, source, forwardedFor);
    const { traceparent, tracestate } = this;
    const refusal = this.contentType === SUCCESS_CONTENT_TYPE ? null : this.#reason;
    traces.offer(
      { protocol: 'http', kind: this.#kind, family, refusal, traceparent, tracestate },
      beganMillis,
    );
    return bodyBytes;
  }

  #serveMeasured(bytes: Uint8Array, source: PeerAddress, forwardedFor: string): number {
    this.#untilMeasured = HTTP_SAMPLE_EVERY;
    const beganMillis = performance.now();
    const bodyBytes = this.#serve(bytes, source, forwardedFor);
    const micros = (performance.now() - beganMillis) * 1000;
    if (this.contentType === SUCCESS_CONTENT_TYPE && this.#counts()) {
      const kind = this.#kind === RequestKind.announce ? LatencyKind.httpAnnounce : LatencyKind.httpScrape;
      recordLatency(this.#counters, LATENCIES_AT, kind, micros);
    }
    return bodyBytes;
  }

  #serve(bytes: Uint8Array, source: PeerAddress, forwardedFor: string): number {
    const client = this.#clientOf(source, forwardedFor);
    if (client !== null && this.#gate.isBannedByHand(client)) return this.#failBanned(client);
    if (client !== null && !this.#admits(client)) {
      const { retryMinutes } = this.#gate;
      return this.#fail(client, RefusalReason.limited, TOO_MANY_REQUESTS_TEXT, retryMinutes);
    }
    return this.#kind === RequestKind.announce
      ? this.#answerAnnounce(bytes, source, client)
      : this.#answerScrape(bytes, source, client);
  }

  #answerAnnounce(bytes: Uint8Array, source: PeerAddress, client: PeerAddress | null): number {
    const target = this.#target;
    const announce = this.#announce;
    const fault = decodeAnnounceQuery(bytes, target.queryStart, target.queryEnd, announce);
    if (fault !== null) return this.#fail(source, RefusalReason.malformed, fault);
    if (target.pathKey === PathKey.malformed) {
      return this.#fail(source, RefusalReason.malformed, MALFORMED_KEY_FAILURE, 'never');
    }
    const { request } = announce;
    request.key = readPathKey(bytes, target);
    const http = this.#reply;
    const { policy } = this.#tracker;
    http.prepare(announce.compact, policy.maxPeers);
    // Access is judged before the address, so that an announce which may not be made says so first.
    if (client !== null) {
      const stored = publicAddress(this.#addressFromQuery(bytes) ?? client, this.#external);
      if (!this.#gate.acceptsSource(stored, request)) {
        return this.#fail(source, RefusalReason.source, LOCAL_SOURCE_TEXT, 'never');
      }
      request.setEndpoint(stored, announce.port);
    }
    const verdict =
      client === null ? this.#tracker.judge(request) : this.#tracker.announce(request, http.reply);
    if (verdict !== Verdict.done) {
      const reason = verdict === Verdict.notListed ? RefusalReason.notListed : RefusalReason.key;
      return this.#fail(source, reason, httpVerdictText(verdict, request), 'never');
    }
    if (client === null) return this.#fail(source, RefusalReason.clientAddress, NO_FORWARDED_ADDRESS);
    http.intervalSeconds = policy.intervalSeconds;
    http.minIntervalSeconds = policy.minIntervalSeconds;
    http.externalIp = this.#live.tellsExternalIp ? publicAddress(client, this.#external) : null;
    const isIpv4 = client.family === 4;
    this.#count(isIpv4 ? Counter.tcp4_connections_handled : Counter.tcp6_connections_handled);
    if (http.reply.beyond !== 0) this.#gate.countBeyond(http.reply.beyond);
    countChange(this.#counters, TURNOVER_AT, request, http.reply);
    if ((http.reply.change & SwarmChange.completed) !== 0) this.#counters[Counter.completed_downloads]++;
    this.#count(isIpv4 ? Counter.tcp4_announces_handled : Counter.tcp6_announces_handled);
    this.contentType = SUCCESS_CONTENT_TYPE;
    return encodeAnnounceReply(this.body, 0, http);
  }

  #answerScrape(bytes: Uint8Array, source: PeerAddress, client: PeerAddress | null): number {
    const target = this.#target;
    const scrape = this.#scrape;
    const fault = decodeScrapeQuery(bytes, target.queryStart, target.queryEnd, scrape);
    if (fault !== null) return this.#fail(source, RefusalReason.malformed, fault);
    if (target.pathKey === PathKey.malformed) {
      return this.#fail(source, RefusalReason.malformed, MALFORMED_KEY_FAILURE, 'never');
    }
    if (client === null) return this.#fail(source, RefusalReason.clientAddress, NO_FORWARDED_ADDRESS);
    const isTrue = this.#tracker.mayScrape(readPathKey(bytes, target));
    let at = encodeScrapeReplyHead(this.body, 0);
    for (let i = 0; i < scrape.count; i++) {
      const place = scrape.order[i];
      if (isTrue) this.#tracker.scrape(scrape.words, place * HASH_WORDS, this.#entry);
      else this.#entry.clear();
      at += encodeScrapeReplyEntry(this.body, at, scrape.bytes, place * HASH_BYTES, this.#entry);
    }
    at += encodeScrapeReplyTail(this.body, at);
    const isIpv4 = client.family === 4;
    this.#count(isIpv4 ? Counter.tcp4_connections_handled : Counter.tcp6_connections_handled);
    this.#count(isIpv4 ? Counter.tcp4_scrapes_handled : Counter.tcp6_scrapes_handled);
    this.contentType = SUCCESS_CONTENT_TYPE;
    return at;
  }

  /** The client's address: the connection's, or what the proxies say; null when they say nothing usable. */
  #clientOf(source: PeerAddress, forwardedFor: string): PeerAddress | null {
    if (!this.#setup.onReverseProxy) return source;
    return this.#proxied.resolve(source, forwardedFor) ? this.#proxied.address : null;
  }

  /** The address in `ip` of the query, where that is believed and is one; null otherwise. */
  #addressFromQuery(bytes: Uint8Array): PeerAddress | null {
    const { ipStart, ipEnd } = this.#announce;
    if (!this.#live.usesQueryIp || ipEnd === ipStart) return null;
    return readIpText(bytes, ipStart, ipEnd, this.#queryAddress) ? this.#queryAddress : null;
  }

  /** Whether a client is within the limits. Its connection proves where it comes from. */
  #admits(client: PeerAddress): boolean {
    return this.#gate.admits(client, true);
  }

  /** Counts a request beyond the limits. Returns its status. */
  #limit(family: AddressFamily): number {
    this.#countRefusal(family, RefusalReason.limited);
    return TOO_MANY_REQUESTS;
  }

  /** Ends with a status and no body. */
  #end(status: number): number {
    this.status = status;
    this.contentType = '';
    return 0;
  }

  #failBanned(client: PeerAddress): number {
    this.#counters[Counter.http_requests_banned]++;
    return this.#fail(client, RefusalReason.banned, BANNED_TEXT, 'never');
  }

  #fail(source: PeerAddress, reason: RefusalReason, text: string, retryIn?: RetryIn): number {
    this.#countRefusal(source.family, reason);
    this.#count(source.family === 4 ? Counter.tcp4_errors_handled : Counter.tcp6_errors_handled);
    this.contentType = FAILURE_CONTENT_TYPE;
    return encodeFailure(this.body, 0, text, retryIn);
  }

  #countRefusal(family: AddressFamily, reason: RefusalReason): void {
    this.#reason = reason;
    this.#count(REFUSALS_AT + refusalPlace(family === 4 ? 2 : 3, this.#kind, reason));
  }

  #counts(): boolean {
    return this.#live.countsRequests && this.#tracker.policy.countsRequests;
  }

  #count(counter: number): void {
    if (this.#counts()) this.#counters[counter]++;
  }
}

function httpVerdictText(verdict: Verdict, request: AnnounceRequest): string {
  const infoHash = Buffer.from(request.words.buffer, 0, HASH_BYTES).toString('hex');
  const text = verdictText(verdict, request.key, infoHash);
  return verdict === Verdict.notListed ? `Tracker error: ${text}` : text;
}
