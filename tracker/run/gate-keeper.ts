/**
 * The gate as the main thread has it: the memory that all network threads share, bans and their file, pardons, and the
 * eye on where announces come from. One thing to open, to tell of a changed configuration, and to stop.
 */
import { AddressBans } from '../address-bans.ts';
import { AddressRanges } from '../address-ranges.ts';
import { BanKeeper } from '../api/ban-keeper.ts';
import type { TrackerConfig } from '../config/schema.ts';
import { Gate, type GateMemory } from '../gate.ts';
import type { CounterRows } from '../swarm/counters.ts';
import type { Logger } from '../telemetry/log.ts';
import { banFile, readBanFile } from './ban-file.ts';
import { gateSettings } from './gate-settings.ts';
import { Pardon } from './pardon.ts';
import { SourceWatch } from './source-watch.ts';

export class GateKeeper {
  readonly memory: GateMemory;
  readonly bans: BanKeeper;
  readonly #pardon: Pardon;
  readonly #sources: SourceWatch;
  readonly #logger: Logger;

  private constructor(
    memory: GateMemory,
    bans: BanKeeper,
    pardon: Pardon,
    sources: SourceWatch,
    logger: Logger,
  ) {
    this.memory = memory;
    this.bans = bans;
    this.#pardon = pardon;
    this.#sources = sources;
    this.#logger = logger;
  }

  /** Opens the gate, with the bans of an earlier run where they are kept. Throws `StartError`. */
  static async open(config: TrackerConfig, counters: CounterRows, logger: Logger): Promise<GateKeeper> {
    const memory = Gate.createMemory();
    const addressBans = AddressBans.attach(memory.bans);
    const { path } = config.bans;
    const saved = path === undefined ? [] : await readBanFile(path, logger);
    const store = path === undefined ? null : banFile(path);
    const bans = new BanKeeper(addressBans, rangesOf(config), store);
    const restored = bans.restore(saved);
    if (restored > 0) logger.info(`Bans: ${restored} are in force again`);
    const pardon = new Pardon(addressBans, ...banSettings(config));
    const sources = new SourceWatch(counters, logger, config.source_guard.policy);
    return new GateKeeper(memory, bans, pardon, sources, logger);
  }

  /** Takes over a changed configuration, as far as the main thread has to know of it. */
  update(config: TrackerConfig): void {
    this.bans.update(rangesOf(config));
    this.#pardon.update(...banSettings(config));
    this.#sources.update(config.source_guard.policy);
  }

  /** Stops, and saves bans a last time. To be called when the network threads have ended. */
  async stop(): Promise<void> {
    this.#pardon.stop();
    this.#sources.stop();
    try {
      await this.bans.stop();
    } catch (error) {
      this.#logger.error({ err: error }, 'Bans');
    }
  }
}

function rangesOf(config: TrackerConfig): AddressRanges {
  return new AddressRanges(gateSettings(config).ranges);
}

/** The time between two pardons, and the errors that an address may make between them. */
function banSettings({ udp_tracker_server: server }: TrackerConfig): [number, number] {
  return [server.ip_bans_reset_interval_in_secs, server.max_connection_id_errors_per_ip];
}
