/**
 * Keeps the bans, from the main thread: imposes and lifts those of the REST API, ends those whose time is over, and has
 * them saved where the configuration asks for that. What network threads impose themselves is in the same table.
 */
import type { AddressBans } from '../address-bans.ts';
import type { AddressRanges } from '../address-ranges.ts';
import { type Ban, BanReason } from '../ban-table.ts';
import { isBannableNetwork } from '../gate.ts';
import type { PeerAddress } from '../protocol/model.ts';
import { Turns } from './durability.ts';

/** Keeps bans where they outlive the tracker. */
export interface BanStore {
  /** Replaces all that was saved. Rejects with the system's error. */
  save(bans: readonly Ban[]): Promise<void>;
}

/** Raised when a change is in force, and would be lost with a restart. */
export class BansNotSavedError extends Error {
  override readonly name = 'BansNotSavedError';
}

/** What came of imposing a ban. */
export type Imposed = 'imposed' | 'never_banned' | 'no_room';

const SWEEP_MILLIS = 1_000;
const SAVE_MILLIS = 60_000;

export class BanKeeper {
  readonly #bans: AddressBans;
  readonly #store: BanStore | null;
  readonly #turns = new Turns();
  readonly #timers: readonly NodeJS.Timeout[];
  #ranges: AddressRanges;
  /** How the table was when it was saved last, to save nothing anew. */
  #saved = '';

  /** `ranges` tell who is never banned. Without a `store`, bans end with the tracker. */
  constructor(bans: AddressBans, ranges: AddressRanges, store: BanStore | null) {
    this.#bans = bans;
    this.#ranges = ranges;
    this.#store = store;
    this.#timers = [
      setInterval(() => this.#endBans(), SWEEP_MILLIS).unref(),
      // The last ones are saved at the end; a failure in between is one of the next change as well.
      setInterval(() => void this.#save().catch(() => undefined), SAVE_MILLIS).unref(),
    ];
  }

  /** Bans in force at this moment, give or take a second. */
  get size(): number {
    return this.#bans.table.size;
  }

  /** Takes over changed ranges. Bans that are in force stay. */
  update(ranges: AddressRanges): void {
    this.#ranges = ranges;
  }

  /** Brings saved bans back, but those that are over or of addresses that are never banned. Returns how many. */
  restore(bans: readonly Ban[]): number {
    this.#saved = stateOf(bans);
    const nowSeconds = Date.now() / 1000;
    return bans.filter(
      (ban) =>
        isInForce(ban, nowSeconds) &&
        isBannableNetwork(this.#ranges, ban.address, ban.prefixBits) &&
        this.#bans.table.add(ban),
    ).length;
  }

  /** The bans in force, those that came last first. */
  list(): Ban[] {
    const nowSeconds = Date.now() / 1000;
    const bans = this.#bans.table.list().filter((ban) => isInForce(ban, nowSeconds));
    return bans.toSorted((one, other) => other.beginSeconds - one.beginSeconds);
  }

  /** Bans an address or network by hand, for some seconds or (null) until it is lifted. Rejects with `BansNotSavedError`. */
  async impose(address: PeerAddress, prefixBits: number, seconds: number | null): Promise<Ban | Imposed> {
    if (!isBannableNetwork(this.#ranges, address, prefixBits)) return 'never_banned';
    const beginSeconds = Math.floor(Date.now() / 1000);
    const endSeconds = seconds === null ? 0 : beginSeconds + seconds;
    const ban = { address, prefixBits, reason: BanReason.byHand, beginSeconds, endSeconds };
    if (!this.#bans.table.add(ban)) return 'no_room';
    await this.#save();
    return ban;
  }

  /** Lifts the ban of exactly this address or network; its wrong connection ids are forgotten too. As `impose`. */
  async lift(address: PeerAddress, prefixBits: number): Promise<boolean> {
    this.#bans.forget(address);
    const wasThere = this.#bans.table.remove(address, prefixBits);
    await this.#save();
    return wasThere;
  }

  /** Lifts all bans, and forgets all wrong connection ids. As `impose`. */
  async liftAll(): Promise<void> {
    this.#bans.pardon();
    this.#bans.table.removeWhere(() => true);
    await this.#save();
  }

  /** Saves a last time. Rejects with `BansNotSavedError`. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#save();
  }

  #endBans(): void {
    if (this.#bans.table.size === 0) return;
    const nowSeconds = Date.now() / 1000;
    this.#bans.table.removeWhere((ban) => !isInForce(ban, nowSeconds));
  }

  async #save(): Promise<void> {
    const store = this.#store;
    if (store === null) return;
    await this.#turns.take(async () => {
      const bans = this.list();
      const state = stateOf(bans);
      if (state === this.#saved) return;
      try {
        await store.save(bans);
      } catch (cause) {
        throw new BansNotSavedError(cause instanceof Error ? cause.message : String(cause), { cause });
      }
      this.#saved = state;
    });
  }
}

function isInForce({ endSeconds }: Ban, nowSeconds: number): boolean {
  return endSeconds === 0 || endSeconds > nowSeconds;
}

/** Differs when what is saved would differ. */
function stateOf(bans: readonly Ban[]): string {
  return bans
    .map(({ address, prefixBits, reason, endSeconds }) =>
      [...address.words, prefixBits, reason, endSeconds].join(),
    )
    .toSorted()
    .join(';');
}
