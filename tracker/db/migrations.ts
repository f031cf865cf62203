/**
 * Brings a database to the current tables, whoever made it: nobody (empty), Torrust's flat era (`keys.valid_until NOT
 * NULL`), v3.0.0, or the newer upstream (`torrent_aggregate_metrics`, BIGINT; its `_sqlx_migrations` is not touched).
 * The tables keep Torrust's names and columns, because its other tools read them and because the way back stays open.
 *
 * The steps are knex migrations held in code. Trackers may start at once and may be killed at any moment, so:
 * on SQLite all steps are one transaction; on MySQL, where each change of a table commits by itself, they run under
 * `GET_LOCK` (which dies with its connection) and every step looks first whether its work is done already. Under that
 * protection knex's own lock says nothing, and one that a killed process left behind is opened.
 */
import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { DatabaseDriver } from './model.ts';

/** The row of `torrent_aggregate_metrics` that holds the sum of all completed downloads. */
export const completedTotalMetric = 'torrents_downloads_total';

/** Batches of counters that were added already; only this tracker knows the table. */
export const batchTable = 'torrent_completed_batches';

/** One repeatable step: running it on a database that has it is no change and no error. */
interface MigrationStep {
  readonly name: string;
  up(database: Knex, driver: DatabaseDriver): Promise<void>;
}

/** How long a start waits for another one that migrates; the change of a table with millions of rows takes minutes. */
const lockTimeoutSeconds = 600;

const ownedTables = ['whitelist', 'torrents', 'keys', 'torrent_aggregate_metrics', batchTable];

/** The column types per driver: Torrust's own, with counters and times in 64 bits and keys that tell `a` from `A`. */
const columnTypes = {
  Sqlite3: { infoHash: 'text', key: 'text', metric: 'text', batch: 'text', integer: 'integer' },
  MySQL: {
    infoHash: 'varchar(40)',
    key: 'varchar(32) collate utf8mb4_bin',
    metric: 'varchar(50)',
    batch: 'varchar(64) collate utf8mb4_bin',
    integer: 'bigint',
  },
} as const;

/** All steps in their order. A step that was released is never changed; what comes later is a new step. */
export const migrationSteps: readonly MigrationStep[] = [
  {
    name: '20261122000100_torrust_tables',
    async up(database, driver) {
      const types = columnTypes[driver];
      await createMissing(database, 'whitelist', (table) => {
        table.increments('id');
        table.specificType('info_hash', types.infoHash).notNullable().unique();
      });
      await createMissing(database, 'torrents', (table) => {
        table.increments('id');
        table.specificType('info_hash', types.infoHash).notNullable().unique();
        table.specificType('completed', types.integer).notNullable().defaultTo(0);
      });
      await createMissing(database, 'keys', (table) => createKeys(table, driver));
    },
  },
  {
    name: '20261122000200_permanent_keys',
    async up(database, driver) {
      const { valid_until: validUntil } = await database('keys').columnInfo();
      if (driver === 'Sqlite3') {
        if (!validUntil?.nullable) {
          await rebuildSqliteKeys(database);
        }
        return;
      }
      if (!validUntil?.nullable || validUntil?.type !== 'bigint') {
        await database.schema.alterTable('keys', (table) =>
          table.bigInteger('valid_until').nullable().alter(),
        );
      }
      if ((await mysqlCollation(database, 'keys', 'key')) !== 'utf8mb4_bin') {
        await database.schema.alterTable('keys', (table) =>
          table.specificType('key', columnTypes.MySQL.key).notNullable().alter(),
        );
      }
    },
  },
  {
    name: '20261122000300_wide_completed',
    async up(database, driver) {
      await widen(database, driver, 'torrents', 'completed');
    },
  },
  {
    name: '20261122000400_completed_total',
    async up(database, driver) {
      const types = columnTypes[driver];
      await createMissing(database, 'torrent_aggregate_metrics', (table) => {
        table.increments('id');
        table.specificType('metric_name', types.metric).notNullable().unique();
        table.specificType('value', types.integer).notNullable().defaultTo(0);
      });
      await widen(database, driver, 'torrent_aggregate_metrics', 'value');
      const known: unknown = await database('torrent_aggregate_metrics')
        .where({ metric_name: completedTotalMetric })
        .first('id');
      if (known === undefined) {
        const sum = await database('torrents').sum({ total: 'completed' }).first();
        await database('torrent_aggregate_metrics').insert({
          metric_name: completedTotalMetric,
          value: Number(sum?.['total'] ?? 0),
        });
      }
    },
  },
  {
    name: '20261122000500_completed_batches',
    async up(database, driver) {
      await createMissing(database, batchTable, (table) => {
        table.bigIncrements('id');
        table.specificType('batch_id', columnTypes[driver].batch).notNullable().unique();
      });
    },
  },
];

/**
 * Runs the steps that the database lacks. Safe to call at any time, from any number of processes.
 * Throws the driver's error; on MySQL also when another process migrates for longer than ten minutes.
 */
export async function migrate(
  database: Knex,
  driver: DatabaseDriver,
  steps: readonly MigrationStep[] = migrationSteps,
): Promise<void> {
  if (driver === 'Sqlite3') {
    await migrateSqlite(database, steps);
  } else {
    await migrateMysql(database, steps);
  }
}

async function migrateSqlite(database: Knex, steps: readonly MigrationStep[]): Promise<void> {
  // knex's own table, made here outside of the transaction, gives the transaction something to write first: a
  // transaction that begins with a write waits for its turn, while one that read before would fail when it comes.
  await database.raw(
    'create table if not exists ?? (?? integer not null primary key autoincrement, ?? integer)',
    ['knex_migrations_lock', 'index', 'is_locked'],
  );
  await database.transaction(async (transaction) => {
    await transaction('knex_migrations_lock').update({ is_locked: 0 });
    await runSteps(transaction, 'Sqlite3', steps);
  });
}

async function migrateMysql(database: Knex, steps: readonly MigrationStep[]): Promise<void> {
  // The transaction changes nothing; it is there to hold on to one connection, to which the lock belongs.
  await database.transaction(async (holder) => {
    const name = await mysqlLockName(holder);
    const [rows] = await holder.raw<[{ acquired: number | null }[]]>('select get_lock(?, ?) as ??', [
      name,
      lockTimeoutSeconds,
      'acquired',
    ]);
    if (rows[0]?.acquired !== 1) {
      throw new Error('another process has been migrating this database for ten minutes');
    }
    try {
      await runSteps(database, 'MySQL', steps);
    } finally {
      await holder.raw('select release_lock(?)', [name]);
    }
  });
}

/** Locks of MySQL are one namespace per server and 64 characters long, so that the database's name is hashed in. */
async function mysqlLockName(database: Knex): Promise<string> {
  const [rows] = await database.raw<[{ name: string }[]]>('select database() as ??', ['name']);
  const digest = createHash('sha256')
    .update(rows[0]?.name ?? '')
    .digest('hex');
  return `torrust-tracker-migration-${digest.slice(0, 32)}`;
}

async function runSteps(
  database: Knex,
  driver: DatabaseDriver,
  steps: readonly MigrationStep[],
): Promise<void> {
  const config: Knex.MigratorConfig = {
    migrationSource: migrationSource(driver, steps),
    // A change of a table ends a transaction of MySQL; there each step is recorded by itself.
    disableTransactions: driver === 'MySQL',
    // A newer tracker may have been here, or another program with migrations of its own: their records stay as they are.
    disableMigrationsListValidation: true,
  };
  await database.migrate.forceFreeMigrationsLock(config);
  await forgetLostTables(database, steps);
  await database.migrate.latest(config);
}

/** A table that somebody dropped comes back at the next start, as with Torrust, although its step is on record. */
async function forgetLostTables(database: Knex, steps: readonly MigrationStep[]): Promise<void> {
  if (!(await database.schema.hasTable('knex_migrations'))) {
    return;
  }
  const found = await Promise.all(ownedTables.map((table) => database.schema.hasTable(table)));
  if (found.includes(false)) {
    await database('knex_migrations')
      .whereIn(
        'name',
        steps.map((step) => step.name),
      )
      .delete();
  }
}

function migrationSource(
  driver: DatabaseDriver,
  steps: readonly MigrationStep[],
): Knex.MigrationSource<MigrationStep> {
  return {
    getMigrations: () => Promise.resolve([...steps]),
    getMigrationName: (step) => step.name,
    getMigration: (step) =>
      Promise.resolve({
        up: (database: Knex) => step.up(database, driver),
        down: () => Promise.reject(new Error('the way back is a backup')),
      }),
  };
}

async function createMissing(
  database: Knex,
  name: string,
  define: (table: Knex.CreateTableBuilder) => void,
): Promise<void> {
  if (!(await database.schema.hasTable(name))) {
    await database.schema.createTable(name, define);
  }
}

function createKeys(table: Knex.CreateTableBuilder, driver: DatabaseDriver): void {
  const types = columnTypes[driver];
  table.increments('id');
  table.specificType('key', types.key).notNullable().unique();
  table.specificType('valid_until', types.integer).nullable();
}

/** SQLite can't take NOT NULL from a column: the rows move into a new table. The transaction around it keeps them safe. */
async function rebuildSqliteKeys(database: Knex): Promise<void> {
  const columns = ['id', 'key', 'valid_until'];
  await database.schema.dropTableIfExists('keys_with_permanent');
  await database.schema.createTable('keys_with_permanent', (table) => createKeys(table, 'Sqlite3'));
  await database(database.raw('?? (??, ??, ??)', ['keys_with_permanent', ...columns])).insert(
    database('keys').select(columns),
  );
  await database.schema.dropTable('keys');
  await database.schema.renameTable('keys_with_permanent', 'keys');
}

/** Integers of SQLite have 64 bits whatever the column says; on MySQL the old columns end at 2^31. */
async function widen(database: Knex, driver: DatabaseDriver, table: string, column: string): Promise<void> {
  if (driver === 'Sqlite3') {
    return;
  }
  const { [column]: info } = await database(table).columnInfo();
  if (info?.type !== 'bigint') {
    await database.schema.alterTable(table, (builder) =>
      builder.bigInteger(column).notNullable().defaultTo(0).alter(),
    );
  }
}

async function mysqlCollation(database: Knex, table: string, column: string): Promise<string | undefined> {
  const row = await database('information_schema.columns')
    .where({ table_schema: database.raw('database()'), table_name: table, column_name: column })
    .first<{ collation?: string } | undefined>({ collation: 'collation_name' });
  return row?.collation;
}
