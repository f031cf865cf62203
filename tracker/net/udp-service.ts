/**
 * A UDP listener's answers: a datagram in, a datagram out or silence (BEP 15, BEP 41). Knows no socket; one object per
 * listener and thread. The walk of an announce allocates nothing.
 *
 * A reply is never larger than its request unless the request proves by its connection id that it comes from where it
 * says. An error text is cut to fit, and where the connection id is not checked, the list of peers is. What is beyond a
 * limit is met with silence: it costs nothing more, and clients ask again after ever longer pauses (BEP 15).
 */
import { IdState, type ConnectionIds } from '../connection-id.ts';
import { isKeyText } from '../access.ts';
import type { Gate } from '../gate.ts';
import { ConnectionIdValidation } from '../policy.ts';
import {
  type AddressFamily,
  AnnounceReply,
  AnnounceRequest,
  HASH_BYTES,
  IPV4_ENDPOINT_BYTES,
  IPV6_ENDPOINT_BYTES,
  type PeerAddress,
  ScrapeEntry,
  SwarmChange,
} from '../protocol/model.ts';
import {
  ANNOUNCE_REPLY_HEAD_BYTES,
  ANNOUNCE_REQUEST_BYTES,
  checkScrape,
  decodeAnnounce,
  encodeAnnounceReplyHead,
  encodeConnectReply,
  encodeErrorReply,
  encodeScrapeReplyEntry,
  encodeScrapeReplyHead,
  hasProtocolId,
  MAX_SCRAPE_HASHES,
  type PacketMemory,
  readAnnouncePort,
  readUrlData,
  REQUEST_HEAD_BYTES,
  SCRAPE_REPLY_ENTRY_BYTES,
  SCRAPE_REPLY_HEAD_BYTES,
  UDP_FAULT_TEXTS,
  UdpAction,
  UdpFault,
} from '../protocol/udp.ts';
import { Counter, LATENCIES_AT, REFUSALS_AT, TURNOVER_AT } from '../swarm/counters.ts';
import { LatencyKind, recordLatency, UDP_SAMPLE_EVERY } from '../swarm/latencies.ts';
import { refusalPlace, RefusalReason, RequestKind } from '../swarm/refusals.ts';
import { countChange } from '../swarm/turnover.ts';
import { type Tracker, Verdict } from '../tracker.ts';
import { parseExternalAddress, publicAddress } from './external-address.ts';
import { Introduced, Introduction } from './introduction.ts';
import type { RequestTraces } from './request-traces.ts';
import type { UdpListenerSetup, UdpLiveSettings } from './listener.ts';
import { LOCAL_SOURCE_TEXT, verdictText } from './verdict-text.ts';

/** Bytes of a datagram that are read: as many as the longest scrape has that is answered. What is longer is cut. */
export const RECEIVE_BYTES = REQUEST_HEAD_BYTES + MAX_SCRAPE_HASHES * HASH_BYTES;
/** The largest reply: what crosses an Ethernet in one IPv4 packet. */
export const REPLY_BYTES = 1472;
/** The same over IPv6, whose header is larger. */
const IPV6_REPLY_BYTES = 1452;
const MAX_IPV4_PEERS = Math.floor((REPLY_BYTES - ANNOUNCE_REPLY_HEAD_BYTES) / IPV4_ENDPOINT_BYTES);
const MAX_IPV6_PEERS = Math.floor((IPV6_REPLY_BYTES - ANNOUNCE_REPLY_HEAD_BYTES) / IPV6_ENDPOINT_BYTES);

/** How old an authentic id may be when validation is lenient. */
const LENIENT_SECONDS = 30 * 60;
const BAD_ID_TEXT = 'connection id could not be verified';

/** What answers UDP requests in a thread. */
export interface UdpServices {
  readonly tracker: Tracker;
  readonly ids: ConnectionIds;
  readonly gate: Gate;
  /** The thread's row of counters for the listener. */
  readonly counters: Float64Array;
  /** Absent: nothing is traced. */
  readonly traces?: RequestTraces | undefined;
}

export class UdpService {
  readonly #tracker: Tracker;
  readonly #ids: ConnectionIds;
  readonly #gate: Gate;
  readonly #counters: Float64Array;
  readonly #traces: RequestTraces | undefined;
  readonly #external: PeerAddress | null;
  readonly #request = new AnnounceRequest();
  readonly #reply = new AnnounceReply(new Uint16Array(0));
  readonly #entry = new ScrapeEntry();
  readonly #introduction: Introduction;
  #live: UdpLiveSettings;
  /** Whether the id of the request at hand proves where it comes from. */
  #isProven = false;
  /** What the request at hand asks. */
  #kind: RequestKind = RequestKind.other;
  /** Why the last request that was not served was not. */
  #reason: RefusalReason = RefusalReason.malformed;
  /** How many requests come before the next that is measured. */
  #untilMeasured: number = UDP_SAMPLE_EVERY;

  constructor(setup: UdpListenerSetup, { tracker, ids, gate, counters, traces }: UdpServices) {
    this.#tracker = tracker;
    this.#ids = ids;
    this.#gate = gate;
    this.#counters = counters;
    this.#traces = traces;
    this.#external = parseExternalAddress(setup.externalIp);
    this.#live = setup.live;
    this.#introduction = new Introduction(gate, counters, 'datagram', setup.live.readsProxyHeaders);
  }

  /** Takes over changed settings. */
  update(live: UdpLiveSettings): void {
    this.#live = live;
    this.#introduction.isOn = live.readsProxyHeaders;
  }

  /** Looks at the clocks. The socket calls it once for each batch of datagrams. */
  readClock(): void {
    this.#tracker.readClock();
    this.#ids.readClock(this.#tracker.wallSeconds);
    this.#gate.readClock(this.#tracker.wallSeconds);
  }

  /**
   * Answers the datagram of `length` bytes at `offset` of `input` that came from `source`: writes the reply to
   * `outputOffset` of `output`, where `REPLY_BYTES` are free. Returns its length, 0 for silence. Offsets are multiples
   * of four.
   *
   * When a load balancer speaks for a client, `source` becomes the client, and its header is taken out of the datagram.
   */
  answer(
    input: PacketMemory,
    offset: number,
    length: number,
    source: PeerAddress,
    output: PacketMemory,
    outputOffset: number,
  ): number {
    if (this.#introduction.isOn) length = this.#introduce(input, offset, length, source);
    if (length < 0) return 0;
    const isIpv4 = source.family === 4;
    if (length < REQUEST_HEAD_BYTES || source.port === 0) {
      // Too short to hold a transaction id, or from where nothing can be sent to.
      this.#counters[Counter.udp_requests_discarded]++;
      return 0;
    }
    if (this.#gate.ignores(source)) {
      this.#counters[Counter.udp_requests_banned]++;
      return 0;
    }
    this.#count(isIpv4 ? Counter.udp4_requests : Counter.udp6_requests);
    if (--this.#untilMeasured > 0) return this.#serve(input, offset, length, source, output, outputOffset);
    this.#untilMeasured = UDP_SAMPLE_EVERY;
    const beganMillis = performance.now();
    const replyBytes = this.#serve(input, offset, length, source, output, outputOffset);
    const action = replyBytes === 0 ? UdpAction.error : output.view.getInt32(outputOffset);
    this.#noteDuration(performance.now() - beganMillis, action);
    if (this.#traces?.takesMeasured() === true) this.#trace(this.#traces, source, beganMillis, action);
    return replyBytes;
  }

  /** Counts a reply that was sent. */
  countSent(family: AddressFamily): void {
    this.#count(family === 4 ? Counter.udp4_responses : Counter.udp6_responses);
  }

  /** Takes a PROXY protocol header off a datagram. Returns the bytes that are left, -1 when it must not be answered. */
  #introduce(input: PacketMemory, offset: number, length: number, source: PeerAddress): number {
    const introduction = this.#introduction;
    const end = offset + length;
    if (introduction.read(input.bytes, offset, end, source) !== Introduced.done) return -1;
    if (introduction.end > offset) input.bytes.copyWithin(offset, introduction.end, end);
    return end - introduction.end;
  }

  #serve(
    input: PacketMemory,
    offset: number,
    length: number,
    source: PeerAddress,
    output: PacketMemory,
    outputOffset: number,
  ): number {
    switch (input.view.getInt32(offset + 8)) {
      case UdpAction.connect:
        this.#kind = RequestKind.connect;
        return this.#connect(input, offset, length, source, output, outputOffset);
      case UdpAction.announce:
        this.#kind = RequestKind.announce;
        return this.#announce(input, offset, length, source, output, outputOffset);
      case UdpAction.scrape:
        this.#kind = RequestKind.scrape;
        return this.#scrape(input, offset, length, source, output, outputOffset);
      default:
        this.#kind = RequestKind.other;
        return this.#refuseFault(input, offset, length, source, output, outputOffset, UdpFault.badAction);
    }
  }

  #connect(
    input: PacketMemory,
    offset: number,
    length: number,
    source: PeerAddress,
    output: PacketMemory,
    outputOffset: number,
  ): number {
    if (!hasProtocolId(input, offset)) {
      return this.#refuseFault(input, offset, length, source, output, outputOffset, UdpFault.badProtocolId);
    }
    if (!this.#gate.admits(source, false)) return this.#drop(source);
    this.#ids.issue(source);
    this.#count(source.family === 4 ? Counter.udp4_connections_handled : Counter.udp6_connections_handled);
    const transactionId = input.view.getInt32(offset + 12);
    return encodeConnectReply(output, outputOffset, transactionId, this.#ids.high, this.#ids.low);
  }

  #announce(
    input: PacketMemory,
    offset: number,
    length: number,
    source: PeerAddress,
    output: PacketMemory,
    outputOffset: number,
  ): number {
    const request = this.#request;
    const fault = decodeAnnounce(input, offset, length, request);
    if (fault !== UdpFault.none) {
      return this.#refuseFault(input, offset, length, source, output, outputOffset, fault);
    }
    const accepted = this.#acceptsId(input, offset, source);
    if (!this.#gate.admits(source, this.#isProven)) return this.#drop(source);
    if (!accepted) {
      const reason = RefusalReason.connectionId;
      return this.#refuse(input, offset, length, source, output, outputOffset, BAD_ID_TEXT, reason);
    }
    const isIpv4 = source.family === 4;
    const address = publicAddress(source, this.#external);
    if (!this.#gate.acceptsSource(address, request)) {
      const limit = this.#isProven ? REPLY_BYTES : length;
      const reason = RefusalReason.source;
      return this.#refuse(input, offset, limit, source, output, outputOffset, LOCAL_SOURCE_TEXT, reason);
    }
    request.setEndpoint(address, readAnnouncePort(input, offset));
    request.key = length > ANNOUNCE_REQUEST_BYTES ? keyOfUrl(readUrlData(input, offset, length)) : '';
    const most = isIpv4 ? MAX_IPV4_PEERS : MAX_IPV6_PEERS;
    // Always a number that fits: the policy may change between here and the store.
    if (request.numWant < 0 || request.numWant > most) request.numWant = most;
    if (!this.#isProven) {
      const room = length - ANNOUNCE_REPLY_HEAD_BYTES;
      const fitting = Math.floor(room / (isIpv4 ? IPV4_ENDPOINT_BYTES : IPV6_ENDPOINT_BYTES));
      if (request.numWant > fitting) request.numWant = fitting;
    }
    const reply = this.#reply;
    const firstPeer = (outputOffset + ANNOUNCE_REPLY_HEAD_BYTES) >> 1;
    reply.halves = output.halves;
    reply.words = output.words;
    reply.ipv4Half = firstPeer;
    reply.ipv6Half = firstPeer;
    reply.families = isIpv4 ? 1 : 2;
    const verdict = this.#tracker.announce(request, reply);
    if (verdict !== Verdict.done) {
      const limit = this.#isProven ? REPLY_BYTES : length;
      const text = udpVerdictText(verdict, request);
      const reason = verdict === Verdict.notListed ? RefusalReason.notListed : RefusalReason.key;
      return this.#refuse(input, offset, limit, source, output, outputOffset, text, reason);
    }
    if (reply.beyond !== 0) this.#gate.countBeyond(reply.beyond);
    countChange(this.#counters, TURNOVER_AT, request, reply);
    if ((reply.change & SwarmChange.completed) !== 0) this.#counters[Counter.completed_downloads]++;
    this.#count(isIpv4 ? Counter.udp4_announces_handled : Counter.udp6_announces_handled);
    encodeAnnounceReplyHead(
      output,
      outputOffset,
      input.view.getInt32(offset + 12),
      this.#tracker.policy.intervalSeconds,
      reply.leechers,
      reply.seeders,
    );
    return (
      ANNOUNCE_REPLY_HEAD_BYTES +
      reply.ipv4Peers * IPV4_ENDPOINT_BYTES +
      reply.ipv6Peers * IPV6_ENDPOINT_BYTES
    );
  }

  #scrape(
    input: PacketMemory,
    offset: number,
    length: number,
    source: PeerAddress,
    output: PacketMemory,
    outputOffset: number,
  ): number {
    const fault = checkScrape(length);
    if (fault !== UdpFault.none) {
      return this.#refuseFault(input, offset, length, source, output, outputOffset, fault);
    }
    const accepted = this.#acceptsId(input, offset, source);
    if (!this.#gate.admits(source, this.#isProven)) return this.#drop(source);
    if (!accepted) {
      const reason = RefusalReason.connectionId;
      return this.#refuse(input, offset, length, source, output, outputOffset, BAD_ID_TEXT, reason);
    }
    // A scrape has no room for a key, so a private tracker tells it zeroes.
    const isTrue = this.#tracker.mayScrape('');
    const hashes = Math.min(MAX_SCRAPE_HASHES, (length - REQUEST_HEAD_BYTES) / HASH_BYTES);
    const first = (offset + REQUEST_HEAD_BYTES) >> 2;
    for (let i = 0; i < hashes; i++) {
      if (isTrue) this.#tracker.scrape(input.words, first + (i * HASH_BYTES) / 4, this.#entry);
      else this.#entry.clear();
      encodeScrapeReplyEntry(output, outputOffset, i, this.#entry);
    }
    encodeScrapeReplyHead(output, outputOffset, input.view.getInt32(offset + 12));
    this.#count(source.family === 4 ? Counter.udp4_scrapes_handled : Counter.udp6_scrapes_handled);
    return SCRAPE_REPLY_HEAD_BYTES + hashes * SCRAPE_REPLY_ENTRY_BYTES;
  }

  /** Judges the connection id of a request, counts a bad one, and says whether the request is served. */
  #acceptsId(input: PacketMemory, offset: number, source: PeerAddress): boolean {
    const high = input.view.getInt32(offset);
    const low = input.view.getInt32(offset + 4);
    const state = this.#ids.verify(high, low, source, this.#live.cookieLifetimeSeconds);
    this.#isProven = state === IdState.valid;
    if (this.#isProven) return true;
    this.#countBadId(state);
    const { policy } = this.#tracker;
    const validation = policy.connectionIdValidation;
    if (validation === ConnectionIdValidation.disabled) return true;
    const isLenient = validation === ConnectionIdValidation.lenient && state === IdState.expired;
    this.#isProven = isLenient && this.#ids.ageSeconds <= LENIENT_SECONDS;
    if (!this.#isProven) this.#gate.countWrongId(source);
    return this.#isProven;
  }

  #countBadId(state: IdState): void {
    if (state === IdState.expired) this.#count(Counter.connection_id_expired);
    else if (state === IdState.otherAddress) this.#count(Counter.connection_id_other_address);
    else this.#count(Counter.connection_id_forged);
  }

  /** Refuses what is malformed, within the limits of requests that prove nothing. */
  #refuseFault(
    input: PacketMemory,
    offset: number,
    length: number,
    source: PeerAddress,
    output: PacketMemory,
    outputOffset: number,
    fault: UdpFault,
  ): number {
    if (!this.#gate.admits(source, false)) return this.#drop(source);
    const reason = RefusalReason.malformed;
    return this.#refuse(input, offset, length, source, output, outputOffset, UDP_FAULT_TEXTS[fault], reason);
  }

  #refuse(
    input: PacketMemory,
    offset: number,
    limitBytes: number,
    source: PeerAddress,
    output: PacketMemory,
    outputOffset: number,
    text: string,
    reason: RefusalReason,
  ): number {
    this.#countRefusal(source, reason);
    this.#count(source.family === 4 ? Counter.udp4_errors_handled : Counter.udp6_errors_handled);
    const limit = Math.min(limitBytes, REPLY_BYTES);
    return encodeErrorReply(output, outputOffset, input.view.getInt32(offset + 12), text, limit);
  }

  /** Meets a request beyond the limits with silence. */
  #drop(source: PeerAddress): number {
    this.#countRefusal(source, RefusalReason.limited);
    return 0;
  }

  #countRefusal(source: PeerAddress, reason: RefusalReason): void {
    this.#reason = reason;
    this.#count(REFUSALS_AT + refusalPlace(source.family === 4 ? 0 : 1, this.#kind, reason));
  }

  /** Takes note of how long a request took that was served: the action of its reply says which it was. */
  #noteDuration(millis: number, action: number): void {
    const kind =
      action === UdpAction.connect
        ? LatencyKind.udpConnect
        : action === UdpAction.announce
          ? LatencyKind.udpAnnounce
          : LatencyKind.udpScrape;
    if (action === UdpAction.error || !this.#counts()) return;
    recordLatency(this.#counters, LATENCIES_AT, kind, millis * 1000);
  }

  #trace(traces: RequestTraces, { family }: PeerAddress, beganMillis: number, action: number): void {
    const refusal = action === UdpAction.error ? this.#reason : null;
    traces.offer(
      { protocol: 'udp', kind: this.#kind, family, refusal, traceparent: '', tracestate: '' },
      beganMillis,
    );
  }

  #counts(): boolean {
    return this.#live.countsRequests && this.#tracker.policy.countsRequests;
  }

  #count(counter: number): void {
    if (this.#counts()) this.#counters[counter]++;
  }
}

function udpVerdictText(verdict: Verdict, request: AnnounceRequest): string {
  const infoHash = Buffer.from(request.words.buffer, 0, HASH_BYTES).toString('hex');
  const text = verdictText(verdict, request.key, infoHash);
  return verdict === Verdict.notListed ? `tracker server error: ${text}` : text;
}

/**
 * What an announce URL gives as its authentication key (`/announce/KEY`, `/KEY`, `?key=KEY`), in the form of one or not;
 * `''` when it gives none. Of several, the one that has the form.
 */
function keyOfUrl(url: string): string {
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  const segment = path.slice(path.lastIndexOf('/') + 1);
  if (isKeyText(segment)) return segment;
  const parameter = question < 0 ? null : new URLSearchParams(url.slice(question)).get('key');
  return parameter || (segment === 'announce' ? '' : segment);
}
