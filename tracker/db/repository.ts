/**
 * The statements of the tracker, on Torrust's tables. Written so that several trackers and other programs may share
 * the database: counters are added and never set, a batch of them counts once however often it is sent, and every
 * write transaction begins with a write, which on SQLite makes it wait for its turn where it would fail otherwise.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Knex } from 'knex';
import { isContended, isDuplicate } from './error.ts';
import type { Operations } from './messages.ts';
import { batchTable, completedTotalMetric } from './migrations.ts';
import {
  infoHashPattern,
  keyPattern,
  type DatabaseDriver,
  type LoadedTable,
  type StoredKey,
} from './model.ts';

/** Rows per statement: SQLite joins the rows of an insert as a compound select, which ends at 500 terms. */
const chunkRows = 400;

/** How many of the newest batches are remembered; a sender repeats only its last one, so that this is plenty. */
const rememberedBatches = 10_000;
/** Old batches are forgotten at the first flush and then once in so many. */
const flushesPerPruning = 256;

/** A transaction that lost against another one runs again so many times, after a short random pause. */
const contentionRetries = 5;
const contentionPauseMaxMillis = 50;

/** Gives the operations on an open, migrated database. `onSkippedRows` hears how many malformed rows a load left out. */
export function createRepository(
  database: Knex,
  driver: DatabaseDriver,
  onSkippedRows: (table: LoadedTable, count: number) => void,
): Operations {
  let flushes = 0;

  return {
    async loadKeys() {
      const rows: { key: unknown; valid_until: unknown }[] = await database('keys').select(
        'key',
        'valid_until',
      );
      const keys = rows.map(readKey).filter((key) => key !== undefined);
      if (keys.length < rows.length) {
        onSkippedRows('keys', rows.length - keys.length);
      }
      return keys;
    },

    async addKey({ key, validUntilSeconds }) {
      await database('keys').insert({ key, valid_until: validUntilSeconds });
    },

    async removeKey(key) {
      return (await database('keys').where({ key }).delete()) > 0;
    },

    async loadWhitelist() {
      const rows: { info_hash: unknown }[] = await database('whitelist').select('info_hash');
      const infoHashes = rows.map((row) => readInfoHash(row.info_hash)).filter((hash) => hash !== undefined);
      if (infoHashes.length < rows.length) {
        onSkippedRows('whitelist', rows.length - infoHashes.length);
      }
      return [...new Set(infoHashes)];
    },

    async addToWhitelist(infoHash) {
      try {
        await database('whitelist').insert({ info_hash: infoHash });
      } catch (error) {
        if (!isDuplicate(error)) {
          throw error;
        }
      }
    },

    async removeFromWhitelist(infoHash) {
      // Another program may have written the hash in capitals.
      await database('whitelist').whereIn('info_hash', [infoHash, infoHash.toUpperCase()]).delete();
    },

    async loadCompleted(infoHashes) {
      const completed = new Map<string, number>();
      for (const chunk of chunks(infoHashes)) {
        const rows: { info_hash: string; completed: unknown }[] = await database('torrents')
          .whereIn('info_hash', chunk)
          .select('info_hash', 'completed');
        for (const row of rows) {
          completed.set(row.info_hash.toLowerCase(), Number(row.completed));
        }
      }
      return completed;
    },

    async addCompleted(batchId, increments) {
      if (flushes % flushesPerPruning === 0) {
        await retryContended(() => forgetOldBatches(database));
      }
      flushes += 1;
      await retryContended(() => addBatch(database, driver, batchId, increments));
    },

    async totalCompleted() {
      const row: { value: unknown } | undefined = await database('torrent_aggregate_metrics')
        .where({ metric_name: completedTotalMetric })
        .first('value');
      return Number(row?.value ?? 0);
    },
  };
}

/** Reads a row of `keys`; undefined when no key can look like that. A negative time counts as its absolute value. */
function readKey(row: { key: unknown; valid_until: unknown }): StoredKey | undefined {
  if (typeof row.key !== 'string' || !keyPattern.test(row.key)) {
    return undefined;
  }
  if (row.valid_until === null) {
    return { key: row.key, validUntilSeconds: null };
  }
  return Number.isSafeInteger(row.valid_until)
    ? { key: row.key, validUntilSeconds: Math.abs(Number(row.valid_until)) }
    : undefined;
}

/** Reads an info hash in either case; undefined when it is none. */
function readInfoHash(value: unknown): string | undefined {
  const infoHash = typeof value === 'string' ? value.toLowerCase() : '';
  return infoHashPattern.test(infoHash) ? infoHash : undefined;
}

async function addBatch(
  database: Knex,
  driver: DatabaseDriver,
  batchId: string,
  increments: ReadonlyMap<string, number>,
): Promise<void> {
  let alreadyAdded = false;
  // All trackers take the rows in the same order, so that two flushes rarely lock each other out.
  const sorted = [...increments].toSorted(([one], [other]) => (one < other ? -1 : 1));
  let total = 0;
  try {
    await database.transaction(async (transaction) => {
      try {
        await transaction(batchTable).insert({ batch_id: batchId });
      } catch (error) {
        alreadyAdded = isDuplicate(error);
        throw error;
      }
      for (const chunk of chunks(sorted)) {
        await addChunk(transaction, driver, chunk);
        total += chunk.reduce((sum, [, increment]) => sum + increment, 0);
      }
      await addToTotal(transaction, total);
    });
  } catch (error) {
    if (!alreadyAdded) {
      throw error;
    }
  }
}

/**
 * Adds to the rows that exist by an update and inserts the others. One upsert for all would do as well, but on MySQL
 * each upsert uses up a number of AUTO_INCREMENT even when it only updates, and Torrust's ids end at 2^31.
 */
async function addChunk(
  transaction: Knex.Transaction,
  driver: DatabaseDriver,
  chunk: readonly (readonly [string, number])[],
): Promise<void> {
  const infoHashes = chunk.map(([infoHash]) => infoHash);
  const rows: { info_hash: string }[] = await transaction('torrents')
    .whereIn('info_hash', infoHashes)
    .select('info_hash');
  const known = new Set(rows.map((row) => row.info_hash.toLowerCase()));
  const byIncrement = Map.groupBy(
    chunk.filter(([infoHash]) => known.has(infoHash)),
    ([, increment]) => increment,
  );
  for (const [increment, members] of byIncrement) {
    await transaction('torrents')
      .whereIn(
        'info_hash',
        members.map(([infoHash]) => infoHash),
      )
      .increment('completed', increment);
  }
  const missing = chunk.filter(([infoHash]) => !known.has(infoHash));
  if (missing.length > 0) {
    // Another tracker may insert the same torrent at this moment; then its count and this one are added up.
    const inserted =
      driver === 'Sqlite3'
        ? transaction.raw('excluded.??', ['completed'])
        : transaction.raw('values(??)', ['completed']);
    await transaction('torrents')
      .insert(missing.map(([infoHash, increment]) => ({ info_hash: infoHash, completed: increment })))
      .onConflict('info_hash')
      .merge({ completed: transaction.raw('?? + ?', ['torrents.completed', inserted]) });
  }
}

async function addToTotal(transaction: Knex.Transaction, increment: number): Promise<void> {
  const updated = await transaction('torrent_aggregate_metrics')
    .where({ metric_name: completedTotalMetric })
    .increment('value', increment);
  if (updated === 0) {
    await transaction('torrent_aggregate_metrics').insert({
      metric_name: completedTotalMetric,
      value: increment,
    });
  }
}

/** Counted in batches and not in hours: while the database is away nobody's batches are forgotten. */
async function forgetOldBatches(database: Knex): Promise<void> {
  const newest = await database(batchTable).max({ id: 'id' }).first();
  await database(batchTable)
    .where('id', '<=', Number(newest?.['id'] ?? 0) - rememberedBatches)
    .delete();
}

async function retryContended(work: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (attempt === contentionRetries || !isContended(error)) {
        throw error;
      }
      await delay(Math.random() * contentionPauseMaxMillis);
    }
  }
}

function* chunks<Item>(items: readonly Item[]): Generator<Item[]> {
  for (let start = 0; start < items.length; start += chunkRows) {
    yield items.slice(start, start + chunkRows);
  }
}
