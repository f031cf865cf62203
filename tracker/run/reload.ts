/**
 * Takes over a changed configuration, and changed files that it names, while the tracker runs. Whatever can't be used
 * is refused as a whole, with the reason in the log, and what was in force stays; nothing is mended silently.
 *
 * The configuration and each thing that files say (`live-input.ts`) are judged apart, so that a certificate that is
 * half-written keeps no password from being changed.
 */
import type { KeyKeeper } from '../api/key-keeper.ts';
import type { WhitelistKeeper } from '../api/whitelist-keeper.ts';
import { compareConfigs } from '../config/comparison.ts';
import { ConfigError } from '../config/errors.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { TrackerConfig } from '../config/schema.ts';
import { DatabaseError } from '../db/error.ts';
import type { LiveInput } from './live-input.ts';
import type { Policy } from '../policy.ts';
import { TableFullError } from '../shared-table.ts';
import { StartError } from '../start-error.ts';
import type { Logger } from '../telemetry/log.ts';

/** How soon a change that needs the database is tried again while the database is away. */
const RETRY_MILLIS = 5_000;

/** What a reload works on. */
export interface ReloadParts {
  readonly logger: Logger;
  readonly policy: Policy;
  readonly keys: KeyKeeper;
  readonly whitelist: WhitelistKeeper;
  /** What files say by paths that may change live. */
  readonly inputs: readonly LiveInput[];
  /** Certificates, whose paths need a restart: a change of the configuration does not depend on them. */
  readonly certificates: readonly LiveInput[];
  /** Reads the configuration anew. Throws `ConfigError`. */
  load(): LoadedConfig;
  /** Takes over the settings of the log, at once. */
  configureLog(logging: TrackerConfig['logging']): void;
  /** Takes over settings that are not in the policy; called after every change, also of certificates. */
  apply(config: TrackerConfig): void;
  /** Does a turn, with what surrounds it. */
  around(turn: () => Promise<void>): Promise<void>;
  /** Told how each look ended; `needsRestart`: the configuration holds changes that wait for a restart. */
  onEnd(outcome: ReloadOutcome, needsRestart: boolean): void;
}

/** What came of a look: nothing was different, or something was taken over, or waits for a restart, or is refused. */
export type ReloadOutcome = 'same' | 'adopted' | 'waiting' | 'refused';
/** From the outcome that matters most. */
const OUTCOMES_BY_WEIGHT = ['refused', 'adopted', 'waiting', 'same'] as const;

export class Reload {
  readonly #parts: ReloadParts;
  #config: TrackerConfig;
  #last: Promise<void> = Promise.resolve();
  /** What the log was told already and need not hear at each turn. */
  #waiting = '';
  #warnings: readonly string[];
  #isDatabaseAwaited = false;
  #retry: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** `loaded` is in force. */
  constructor(loaded: LoadedConfig, parts: ReloadParts) {
    this.#parts = parts;
    this.#config = loaded.config;
    this.#warnings = loaded.warnings;
  }

  /** The configuration in force: the first one with all live changes since. */
  get config(): TrackerConfig {
    return this.#config;
  }

  /** Reads everything anew, after the turns that are under way. `isAsked`: somebody waits for word in the log. */
  run(isAsked: boolean): Promise<void> {
    this.#last = this.#last.then(() => this.#parts.around(() => this.#turn(isAsked)));
    return this.#last;
  }

  /** From now on nothing is taken over. */
  close(): void {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
  }

  async #turn(isAsked: boolean): Promise<void> {
    if (this.#isClosed) return;
    const { logger, inputs, certificates } = this.#parts;
    const outcome = await this.#adopt(isAsked);
    if (this.#isClosed) return;
    const renewed = [...inputs, ...certificates].map((input) => this.#refresh(input));
    if (outcome === 'adopted' || renewed.includes('adopted')) this.#parts.apply(this.#config);
    if (isAsked && [outcome, ...renewed].every((each) => each === 'same')) {
      logger.info('Reload: nothing has changed');
    }
    const all = new Set([outcome, ...renewed]);
    this.#parts.onEnd(OUTCOMES_BY_WEIGHT.find((each) => all.has(each)) ?? 'same', this.#waiting !== '');
  }

  async #adopt(isAsked: boolean): Promise<ReloadOutcome> {
    const { logger, policy } = this.#parts;
    try {
      const loaded = this.#parts.load();
      const { live, restart, adopted } = compareConfigs(this.#config, loaded.config);
      if (live.length > 0) {
        for (const input of this.#parts.inputs) input.check(adopted);
        await this.#fillAccess(adopted);
        this.#isDatabaseAwaited = false;
        if (this.#isClosed) return 'refused';
        this.#config = adopted;
        policy.apply(adopted);
        this.#tellAdopted(adopted, live);
      }
      this.#tellWarnings(loaded.warnings);
      const waiting = restart.join(', ');
      if (waiting !== '' && (isAsked || waiting !== this.#waiting)) {
        logger.warn(`Changed in the new configuration, and needs a restart: ${waiting}`);
      }
      this.#waiting = waiting;
      return live.length > 0 ? 'adopted' : waiting === '' ? 'same' : 'waiting';
    } catch (error) {
      this.#tellRefusal(error);
      return 'refused';
    }
  }

  /** Says what was taken over, by the settings of the log, old or new, by which it is heard. */
  #tellAdopted({ logging }: TrackerConfig, live: readonly string[]): void {
    const { logger, configureLog } = this.#parts;
    const tell = () => logger.info(`Taken over from the new configuration: ${live.join(', ')}`);
    const isHeard = logger.isLevelEnabled('info');
    if (isHeard) tell();
    configureLog(logging);
    if (!isHeard) tell();
  }

  /** Brings the keys and the whitelist into memory before the mode that asks for them begins. */
  async #fillAccess({ core }: TrackerConfig): Promise<void> {
    const { policy, keys, whitelist } = this.#parts;
    if (core.private && !policy.isPrivate) await keys.reload();
    if (core.listed && !policy.isListed) await whitelist.reload();
  }

  #refresh(input: LiveInput): ReloadOutcome {
    const { logger } = this.#parts;
    try {
      if (!input.refresh(this.#config)) return 'same';
      logger.info(`${input.title}: taken over as changed`);
      return 'adopted';
    } catch (error) {
      if (!isOfTheWorld(error)) throw error;
      logger.error(`${input.title}: what was in force stays, since the new can't be used. ${error.message}`);
      return 'refused';
    }
  }

  #tellWarnings(warnings: readonly string[]): void {
    const known = this.#warnings;
    this.#warnings = warnings;
    for (const warning of warnings) if (!known.includes(warning)) this.#parts.logger.warn(warning);
  }

  #tellRefusal(error: unknown): void {
    const { logger } = this.#parts;
    if (!isOfTheWorld(error)) throw error;
    if (error instanceof DatabaseError && error.code === 'unavailable') {
      if (this.#retry !== null) clearTimeout(this.#retry);
      this.#retry = setTimeout(() => void this.run(false), RETRY_MILLIS).unref();
      if (this.#isDatabaseAwaited) return;
      this.#isDatabaseAwaited = true;
      logger.warn('The new configuration waits for the database, without which nobody could be let in');
      return;
    }
    logger.error(`The new configuration is refused, the one in force stays. ${error.message}`);
  }
}

/** Whether an error tells of the world around us, and not of a mistake in this program. */
function isOfTheWorld(error: unknown): error is Error {
  return [ConfigError, StartError, DatabaseError, TableFullError].some((kind) => error instanceof kind);
}
