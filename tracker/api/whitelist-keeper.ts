/**
 * Keeps the whitelist of the listed mode: in the database, and in the shared memory that the network threads read.
 * Used by the REST API, by the start and by a change of the configuration. Info hashes are 40 lowercase hex digits.
 */
import type { Access } from '../access.ts';
import type { Database } from '../db/client.ts';
import { DurableChanges } from './durability.ts';

export class WhitelistKeeper {
  readonly #access: Access;
  readonly #changes: DurableChanges;

  constructor(access: Access, database: Database | null) {
    this.#access = access;
    this.#changes = new DurableChanges(database, async (from) =>
      access.replaceInfoHashes(await from.loadWhitelist()),
    );
  }

  /**
   * Adds an info hash; does nothing when it is listed. Rejects as `DurableChanges.change` does, or with
   * `TableFullError` when memory holds as many as it may.
   */
  add(infoHash: string): Promise<void> {
    return this.#changes.change(async (database) => {
      await database.addToWhitelist(infoHash);
      this.#access.addInfoHash(infoHash);
    });
  }

  /** Removes an info hash; does nothing when it is not listed. Rejects as `add`. */
  remove(infoHash: string): Promise<void> {
    return this.#changes.change(async (database) => {
      await database.removeFromWhitelist(infoHash);
      this.#access.removeInfoHash(infoHash);
    });
  }

  /** Replaces the list in memory by that in the database; on failure the one in memory stays. Rejects as `add`. */
  reload(): Promise<void> {
    return this.#changes.reload();
  }
}
