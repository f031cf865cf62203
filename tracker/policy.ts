/**
 * What the operator may change while the tracker runs, in shared words: the main thread writes, every network thread
 * reads it for each request, so that a reload takes effect at once and without a message.
 */
import type { TrackerConfig } from './config/schema.ts';

const WORDS = [
  'intervalSeconds',
  'minIntervalSeconds',
  'maxPeers',
  'peerTimeoutSeconds',
  'isPrivate',
  'isListed',
  'checksKeyExpiration',
  'countsRequests',
  'persistsCompleted',
  'removesPeerless',
  'connectionIdValidation',
  'maxConnectionIdErrors',
  'maxSwarms',
  'maxPeersPerSwarm',
  'maxPeersPerAddress',
  'isLimitDryRun',
] as const;
/** One less than fits, since counters of errors go one beyond their limit. */
const MAX_WORD = 2 ** 31 - 2;
type PolicyWord = (typeof WORDS)[number];

/** How a connection id that is not valid is treated: refused; accepted when authentic but old; accepted. */
export const ConnectionIdValidation = { strict: 0, lenient: 1, disabled: 2 } as const;
export type ConnectionIdValidation = (typeof ConnectionIdValidation)[keyof typeof ConnectionIdValidation];

export class Policy {
  /** Shared memory: can be posted to a worker. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  static create(config: TrackerConfig): Policy {
    const policy = new Policy(new SharedArrayBuffer(4 * WORDS.length));
    policy.apply(config);
    return policy;
  }

  static attach(buffer: SharedArrayBuffer): Policy {
    return new Policy(buffer);
  }

  /** Takes over what can change live from a configuration. */
  apply(config: TrackerConfig): void {
    const { core } = config;
    const values: Record<PolicyWord, number | boolean> = {
      intervalSeconds: core.announce_policy.interval,
      minIntervalSeconds: core.announce_policy.interval_min,
      maxPeers: core.announce_policy.max_peers_per_announce,
      peerTimeoutSeconds: core.tracker_policy.max_peer_timeout,
      isPrivate: core.private,
      isListed: core.listed,
      checksKeyExpiration: core.private_mode?.check_keys_expiration ?? true,
      countsRequests: core.tracker_usage_statistics,
      persistsCompleted: core.tracker_policy.persistent_torrent_completed_stat,
      removesPeerless: core.tracker_policy.remove_peerless_torrents,
      maxConnectionIdErrors: config.udp_tracker_server.max_connection_id_errors_per_ip,
      maxSwarms: config.limits.max_swarms,
      maxPeersPerSwarm: config.limits.max_peers_per_swarm,
      maxPeersPerAddress: config.limits.max_peers_per_ip,
      isLimitDryRun: config.limits.dry_run,
      connectionIdValidation: ConnectionIdValidation[config.udp_tracker_server.connection_id_validation],
    };
    // A configuration may say more than a word holds; 68 years are as good as for ever.
    WORDS.forEach((name, index) =>
      Atomics.store(this.#words, index, Math.min(Number(values[name]), MAX_WORD)),
    );
  }

  get intervalSeconds(): number {
    return this.#words[0];
  }
  get minIntervalSeconds(): number {
    return this.#words[1];
  }
  get maxPeers(): number {
    return this.#words[2];
  }
  get peerTimeoutSeconds(): number {
    return this.#words[3];
  }
  get isPrivate(): boolean {
    return this.#words[4] !== 0;
  }
  get isListed(): boolean {
    return this.#words[5] !== 0;
  }
  get checksKeyExpiration(): boolean {
    return this.#words[6] !== 0;
  }
  get countsRequests(): boolean {
    return this.#words[7] !== 0;
  }
  get persistsCompleted(): boolean {
    return this.#words[8] !== 0;
  }
  get removesPeerless(): boolean {
    return this.#words[9] !== 0;
  }
  get maxConnectionIdErrors(): number {
    return this.#words[11];
  }
  /** 0: no limit, as of the next two. */
  get maxSwarms(): number {
    return this.#words[12];
  }
  get maxPeersPerSwarm(): number {
    return this.#words[13];
  }
  get maxPeersPerAddress(): number {
    return this.#words[14];
  }
  get isLimitDryRun(): boolean {
    return this.#words[15] !== 0;
  }
  get connectionIdValidation(): ConnectionIdValidation {
    // Only values of the type are ever written.
    return this.#words[10] as ConnectionIdValidation;
  }
}
