/**
 * The UDP load: four sockets, each with a window of requests that are on their way, sent and received in batches. Blocks
 * its thread until it is done, so it runs in a process of its own (udp-load-process.ts), pinned to a core that the server
 * does not use.
 *
 * Without a rate, every reply is followed by a request at once: the most that the server can do. With one, requests are
 * sent when they are due, and a latency is counted from then, so that a stall of the server counts for all who wait.
 */
import { SOCK_DGRAM } from '../../tracker/net/native/constants.ts';
import { EventLoop } from '../../tracker/net/native/event-loop.ts';
import { openLibc } from '../../tracker/net/native/libc.ts';
import { openBoundSocket } from '../../tracker/net/native/socket-address.ts';
import { type LatencyMicros, LatencyHistogram } from './latency-histogram.ts';
import type { LoadProfile } from './population.ts';
import { readCpuSeconds, readResidentBytes } from './process-usage.ts';
import { LoadCounts, LoadSocket } from './udp-load-socket.ts';

export interface UdpLoadOptions {
  readonly profile: LoadProfile;
  /** The server listens on 127.0.0.1. */
  readonly port: number;
  /** The server's process. */
  readonly pid: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Requests per second; null: as many as the server answers. */
  readonly ratePerSecond: number | null;
  readonly seed: number;
}

/** What was counted after the warm-up. */
export interface UdpLoadResult {
  readonly seconds: number;
  /** Replies of any kind. */
  readonly replies: number;
  readonly announces: number;
  readonly scrapes: number;
  readonly connects: number;
  /** Peers in all announce replies. */
  readonly peers: number;
  readonly errors: number;
  /** The text of the first error, `''` when there was none. */
  readonly firstError: string;
  /** Requests that were not answered within a second, or could not be sent for want of room. */
  readonly lost: number;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
  readonly serverResidentBytes: number;
  /** Only with a rate. */
  readonly latencyMicros: LatencyMicros | null;
}

export const SOCKETS = 4;
const WINDOW = 64;
/** Without waiting for replies a stall of the server fills the windows; so many requests can wait for it. */
const PACED_WINDOW = 1024;
const LOST_AFTER_MILLIS = 1000;
/** The warm-up goes on for so many replies, so that slow and fast servers are measured with swarms of like size... */
const WARM_UP_REPLIES = 400_000;
/** ...but not for more than so many times what was asked for. */
const WARM_UP_STRETCH = 4;

/** Makes load on the server and counts. Throws when the machine has no native sockets. */
export function runUdpLoad(options: UdpLoadOptions): UdpLoadResult {
  const libc = openLibc();
  if (typeof libc === 'string') throw new Error(libc);
  const counts = new LoadCounts();
  const histogram = options.ratePerSecond === null ? null : new LatencyHistogram();
  const isWide = options.profile.addresses > SOCKETS;
  const sockets = Array.from({ length: SOCKETS }, (_, index) => {
    const host = isWide ? '0.0.0.0' : `127.1.0.${index + 1}`;
    const bind = { host, port: 0, family: 4 as const };
    const { fd } = openBoundSocket(libc, 'The load', SOCK_DGRAM, bind, {
      ipv6Only: false,
      sharesPort: false,
    });
    return new LoadSocket(libc, fd, {
      ...options,
      index,
      sockets: SOCKETS,
      window: histogram === null ? WINDOW : PACED_WINDOW,
      counts,
      histogram,
    });
  });
  const measurement = new Measurement(options, counts, histogram);
  if (options.ratePerSecond === null) runFast(new EventLoop(libc), sockets, measurement);
  else runPaced(sockets, options.ratePerSecond, measurement);
  return measurement.result();
}

function runFast(loop: EventLoop, sockets: readonly LoadSocket[], measurement: Measurement): void {
  for (const socket of sockets) {
    loop.watch(socket.fd, {
      handle: () => {
        const nowMillis = performance.now();
        socket.receive(nowMillis);
        socket.send(Infinity, nowMillis, 0);
      },
    });
    loop.addTicking({
      tick: (nowMillis) => {
        socket.forgetLost(nowMillis - LOST_AFTER_MILLIS);
        socket.send(Infinity, nowMillis, 0);
      },
    });
  }
  loop.run(() => measurement.isDone(performance.now()));
  loop.close();
}

/** Looks for replies all the time, because waiting in the kernel would add to what is measured. */
function runPaced(sockets: readonly LoadSocket[], ratePerSecond: number, measurement: Measurement): void {
  const millisPerRequest = 1000 / ratePerSecond;
  const startMillis = performance.now();
  let sent = 0;
  let turn = 0;
  for (let nowMillis = startMillis; !measurement.isDone(nowMillis); nowMillis = performance.now()) {
    const due = Math.floor((nowMillis - startMillis) / millisPerRequest) - sent;
    if (due > 0) {
      sockets[turn].send(due, startMillis + sent * millisPerRequest, millisPerRequest);
      sent += due;
      turn = (turn + 1) % sockets.length;
    }
    for (const socket of sockets) {
      socket.receive(performance.now());
      socket.forgetLost(nowMillis - LOST_AFTER_MILLIS);
    }
  }
}

/** Warm-up, then the part that counts. */
class Measurement {
  readonly #options: UdpLoadOptions;
  readonly #counts: LoadCounts;
  readonly #histogram: LatencyHistogram | null;
  readonly #openedMillis = performance.now();
  #start: Moment | null = null;
  #end: Moment | null = null;

  constructor(options: UdpLoadOptions, counts: LoadCounts, histogram: LatencyHistogram | null) {
    this.#options = options;
    this.#counts = counts;
    this.#histogram = histogram;
  }

  /** Takes note of where the counting begins and ends; says whether it has ended. */
  isDone(nowMillis: number): boolean {
    if (this.#start === null) {
      if (!this.#isWarm(nowMillis)) return false;
      this.#histogram?.clear();
      this.#start = this.#look();
      return false;
    }
    if (nowMillis < this.#start.millis + this.#options.seconds * 1000) return false;
    this.#end = this.#look();
    return true;
  }

  result(): UdpLoadResult {
    const start = this.#start;
    const end = this.#end;
    if (start === null || end === null) throw new Error('the load has not been measured yet');
    const counted = end.counts.since(start.counts);
    return {
      seconds: (end.millis - start.millis) / 1000,
      replies: counted.replies,
      announces: counted.announces,
      scrapes: counted.scrapes,
      connects: counted.connects,
      peers: counted.peers,
      errors: counted.errors,
      firstError: this.#counts.firstError,
      lost: counted.lost,
      serverCpuSeconds: end.serverCpuSeconds - start.serverCpuSeconds,
      clientCpuSeconds: end.clientCpuSeconds - start.clientCpuSeconds,
      serverResidentBytes: readResidentBytes(this.#options.pid),
      latencyMicros: this.#histogram?.percentiles() ?? null,
    };
  }

  #isWarm(nowMillis: number): boolean {
    const { warmUpSeconds, ratePerSecond } = this.#options;
    const share = (nowMillis - this.#openedMillis) / 1000 / warmUpSeconds;
    if (share < 1 || share >= WARM_UP_STRETCH) return share >= 1;
    return ratePerSecond !== null || this.#counts.replies >= WARM_UP_REPLIES;
  }

  #look(): Moment {
    return {
      millis: performance.now(),
      counts: this.#counts.copy(),
      serverCpuSeconds: readCpuSeconds(this.#options.pid),
      clientCpuSeconds: readCpuSeconds(process.pid),
    };
  }
}

interface Moment {
  readonly millis: number;
  readonly counts: LoadCounts;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
}
