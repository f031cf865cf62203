/**
 * Which of several operators is at work: the one that holds a Lease. It renews it every 2 s and stops being the leader when
 * that failed for 10 s; others take it over when they saw no renewal for 15 s. After client-go's leader election:
 * https://pkg.go.dev/k8s.io/client-go/tools/leaderelection
 *
 * All of this is judged by the monotonic clock of each process, from the moment when it saw a change: the times that are
 * written into the Lease are for people, and a clock that is wrong or jumps changes nothing.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { resourceOf } from './api-resource.ts';
import type { KubeClient } from './client.ts';
import { type Clock, pause, SYSTEM_CLOCK } from './clock.ts';
import { isApiError, REASON } from './kube-error.ts';
import type { KubeLog } from './kube-log.ts';
import { isRecord, type KubeObject } from './kube-object.ts';
import type { KubeMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';

/** What an election is about. */
export interface ElectionOptions {
  /** One that writes whoever is the leader. */
  readonly client: KubeClient;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Of this process, and of no other; made up unless given. */
  readonly identity?: string;
  readonly metrics: KubeMetrics['leader'];
  readonly log: KubeLog;
  /** Called once when the lease is lost; the process has to end, as another one may be at work already. */
  readonly onLost: (reason: Error) => void;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** A candidate. */
export interface Election {
  readonly identity: string;
  /** Resolves when this process is the leader; rejects when it is closed before. */
  readonly acquired: Promise<void>;
  /** Whether this process is the leader at this very moment, also after a sleep that no timer has noticed yet. */
  holds(): boolean;
  /** Gives the lease back, if it is held, so that another one has it at once. */
  close(): Promise<void>;
}

const LEASES = resourceOf({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' });
const LEASE_SECONDS = 15;
const RENEW_DEADLINE_MILLIS = 10_000;
const RETRY_MILLIS = 2_000;
/** Candidates don't come all at the same time. */
const RETRY_JITTER = 0.2;
/** A request that takes longer is given up for one over a new connection. */
const CALL_MILLIS = 4_000;
const FIELD_MANAGER = 'torrust-operator';
const TOO_LATE = `it was not renewed for ${RENEW_DEADLINE_MILLIS / 1000} s`;

/** Where the lease lives: the namespace of the pod, else that of the context. */
export function leaseNamespace(
  environment: Readonly<Record<string, string | undefined>>,
  contextNamespace: string | undefined,
): string {
  return environment['POD_NAMESPACE'] || contextNamespace || 'default';
}

/** Becomes a candidate. */
export function startElection(options: ElectionOptions): Election {
  return new Candidate(options);
}

/** The Lease as it was last seen, and since when it has been like that. */
interface Sight {
  readonly lease: KubeObject;
  readonly sinceMillis: number;
}

class Candidate implements Election {
  readonly identity: string;
  readonly acquired: Promise<void>;
  readonly #options: ElectionOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  /** Ends the waiting; what is being asked may still be answered. */
  readonly #stop = new AbortController();
  /** Ends what is being asked. */
  readonly #cut = new AbortController();
  readonly #ended: Promise<void>;
  #sight: Sight | undefined;
  /** The beginning of the last renewal that succeeded; undefined when this process is not the leader. */
  #renewedAtMillis: number | undefined;

  constructor(options: ElectionOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#random = options.random ?? Math.random;
    this.identity = options.identity ?? `${hostname()}_${randomUUID()}`;
    this.acquired = promise;
    // Who waits for it hears of the rejection; nobody has to.
    promise.catch(() => undefined);
    this.#setMetric(0);
    this.#ended = this.#run(resolve).finally(() => reject(new Error('the election is over')));
  }

  holds(): boolean {
    const since = this.#renewedAtMillis;
    return since !== undefined && this.#clock.monotonicMillis() - since < RENEW_DEADLINE_MILLIS;
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the election is over'));
    await this.#ended;
    const isHeld = this.holds();
    this.#renewedAtMillis = undefined;
    this.#setMetric(0);
    if (isHeld) await this.#release();
  }

  async #run(onAcquired: () => void): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !(await this.#try())) {
      await pause(this.#clock, RETRY_MILLIS * (1 + RETRY_JITTER * this.#random()), signal);
    }
    if (signal.aborted) return;
    this.#setMetric(1);
    this.#options.log.info(
      { identity: this.identity, lease: this.#options.name },
      'this process is the leader',
    );
    onAcquired();
    const deadline = this.#watchDeadline();
    await this.#renew(signal);
    deadline();
  }

  /** Renews until the end, or until the lease is lost. */
  async #renew(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(this.#clock, RETRY_MILLIS, signal);
      if (signal.aborted || this.#renewedAtMillis === undefined) return;
      // Who slept, and wakes up late, must not believe that nothing happened.
      if (!this.holds()) {
        this.#lose(TOO_LATE);
        return;
      }
      if (!(await this.#try()) && this.#holder() !== undefined && this.#holder() !== this.identity) {
        this.#lose(`${this.#holder()} holds it now`);
        return;
      }
    }
  }

  /** Ends the leadership when no renewal succeeds in time, also while a request hangs. Returns what ends the watching. */
  #watchDeadline(): () => void {
    let cancel: () => void = () => undefined;
    const look = () => {
      if (this.#renewedAtMillis === undefined) return;
      const leftMillis = this.#renewedAtMillis + RENEW_DEADLINE_MILLIS - this.#clock.monotonicMillis();
      if (leftMillis > 0) cancel = this.#clock.after(leftMillis, look);
      else this.#lose(TOO_LATE);
    };
    look();
    return () => cancel();
  }

  #lose(why: string): void {
    if (this.#renewedAtMillis === undefined || this.#stop.signal.aborted) return;
    this.#renewedAtMillis = undefined;
    this.#setMetric(0);
    const reason = new Error(`the lease ${this.#options.name} is lost: ${why}`);
    this.#stop.abort(reason);
    this.#cut.abort(reason);
    this.#options.onLost(reason);
  }

  /** Tries to get or to renew the lease; whether that succeeded. Never rejects. */
  async #try(): Promise<boolean> {
    const beginMillis = this.#clock.monotonicMillis();
    try {
      // The leader writes over what it wrote itself; only when that has changed it has to look.
      if (this.#renewedAtMillis === undefined) await this.#look();
      if (!this.#mayTake()) return false;
      await this.#write();
      this.#renewedAtMillis = beginMillis;
      return true;
    } catch (error) {
      if (this.#cut.signal.aborted) return false;
      if (isApiError(error, REASON.conflict, REASON.alreadyExists, REASON.notFound)) {
        await this.#look().catch((failure: unknown) => this.#complain(failure));
      } else {
        this.#complain(error);
      }
      return false;
    }
  }

  #complain(error: unknown): void {
    if (this.#cut.signal.aborted) return;
    const { log, name } = this.#options;
    log.warn(
      { err: error, lease: name, isLeader: this.#renewedAtMillis !== undefined },
      'the lease is tried again',
    );
  }

  async #look(): Promise<void> {
    const { client, namespace, name } = this.#options;
    const lease = await client.get(LEASES, { namespace, name }, this.#call());
    if (lease === undefined) {
      this.#sight = undefined;
      return;
    }
    // Every write changes the resource version, whatever the clock of the writer says.
    const before = this.#sight;
    const isSame = before?.lease.metadata.resourceVersion === lease.metadata.resourceVersion;
    const now = this.#clock.monotonicMillis();
    this.#sight = { lease, sinceMillis: isSame && before !== undefined ? before.sinceMillis : now };
  }

  /** Whether the lease is there to be taken: it is ours, nobody's, or not renewed for as long as its holder promised. */
  #mayTake(): boolean {
    if (this.#sight === undefined) return true;
    const holder = this.#holder();
    if (holder === undefined || holder === this.identity) return true;
    const seconds = specOf(this.#sight.lease)['leaseDurationSeconds'];
    const promisedMillis = (typeof seconds === 'number' ? seconds : LEASE_SECONDS) * 1000;
    return this.#clock.monotonicMillis() - this.#sight.sinceMillis >= promisedMillis;
  }

  /** Who holds the lease, as last seen; undefined for nobody. */
  #holder(): string | undefined {
    const holder = this.#sight === undefined ? undefined : specOf(this.#sight.lease)['holderIdentity'];
    return typeof holder === 'string' && holder !== '' ? holder : undefined;
  }

  async #write(): Promise<void> {
    const { client, namespace, name } = this.#options;
    const now = microTime(this.#clock.date());
    const before = this.#sight === undefined ? {} : specOf(this.#sight.lease);
    const isOurs = before['holderIdentity'] === this.identity;
    const transitions = typeof before['leaseTransitions'] === 'number' ? before['leaseTransitions'] : 0;
    const spec = {
      holderIdentity: this.identity,
      leaseDurationSeconds: LEASE_SECONDS,
      acquireTime: isOurs ? before['acquireTime'] : now,
      renewTime: now,
      leaseTransitions: this.#sight === undefined || isOurs ? transitions : transitions + 1,
    };
    const { apiVersion, kind } = LEASES;
    const metadata = { namespace, name };
    const options = { ...this.#call(), fieldManager: FIELD_MANAGER };
    const written =
      this.#sight === undefined
        ? await client.create({ apiVersion, kind, metadata, spec }, options)
        : await client.replace({ ...this.#sight.lease, spec }, options);
    this.#sight = { lease: written, sinceMillis: this.#clock.monotonicMillis() };
  }

  /** Writes that nobody holds the lease. */
  async #release(): Promise<void> {
    const { client, log, name } = this.#options;
    if (this.#sight === undefined) return;
    const now = microTime(this.#clock.date());
    const spec = {
      ...specOf(this.#sight.lease),
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
    };
    const options = { ...this.#call(), fieldManager: FIELD_MANAGER };
    try {
      await client.replace({ ...this.#sight.lease, spec }, options);
    } catch (error) {
      log.warn({ err: error, lease: name }, 'the lease could not be given back; it runs out');
    }
  }

  #call() {
    return { signal: this.#cut.signal, timeoutMillis: CALL_MILLIS };
  }

  #setMetric(value: 0 | 1): void {
    this.#options.metrics.set({ name: this.#options.name }, value);
  }
}

function specOf(lease: KubeObject): Readonly<Record<string, unknown>> {
  return isRecord(lease['spec']) ? lease['spec'] : {};
}
