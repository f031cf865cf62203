/**
 * Keeps the authentication keys of the private mode: in the database, and in the shared memory that the network
 * threads read. Used by the REST API, by the start and by a change of the configuration.
 */
import { randomInt } from 'node:crypto';
import { type Access, type AccessKey, KEY_BYTES } from '../access.ts';
import type { Database } from '../db/client.ts';
import { DurableChanges } from './durability.ts';

const KEY_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

export class KeyKeeper {
  readonly #access: Access;
  readonly #changes: DurableChanges;

  constructor(access: Access, database: Database | null) {
    this.#access = access;
    this.#changes = new DurableChanges(database, async (from) => access.replaceKeys(await from.loadKeys()));
  }

  /**
   * Adds a key. Rejects with `DatabaseError` (code `duplicate` when the key is there), as `DurableChanges.change` does, or
   * with `TableFullError` when memory holds as many keys as it may.
   */
  add(key: AccessKey): Promise<void> {
    return this.#changes.change(async (database) => {
      await database.addKey(key);
      // Another program may have removed the key from the database, so that memory still holds it as it was.
      this.#access.removeKey(key.key);
      this.#access.addKey(key);
    });
  }

  /** Removes a key. Resolves with whether the database had it. Rejects as `add`. */
  remove(key: string): Promise<boolean> {
    return this.#changes.change(async (database) => {
      const removed = await database.removeKey(key);
      this.#access.removeKey(key);
      return removed;
    });
  }

  /** Replaces the keys in memory by those in the database; on failure those in memory stay. Rejects as `add`. */
  reload(): Promise<void> {
    return this.#changes.reload();
  }
}

/** A random key of 32 letters and digits. */
export function generateKey(): string {
  return Array.from({ length: KEY_BYTES }, () => KEY_CHARACTERS[randomInt(KEY_CHARACTERS.length)]).join('');
}
