/**
 * Opens a pool of connections to MySQL or MariaDB for knex. Nothing is sent before the first query, so that a server
 * that is away is no error here. New connections take the newest credentials.
 */
import type { Socket } from 'node:net';
import knex, { type Knex } from 'knex';
import type { DatabaseTiming, MysqlCredentials, MysqlOptions, MysqlTls } from './model.ts';
import { silentLog } from './silent-log.ts';

/** Enough that a slow flush of counters doesn't hold up the REST API, few enough for a server with many trackers. */
const poolConnections = 4;
const connectTimeoutMillis = 5_000;
const keepAliveDelayMillis = 10_000;

/** The part of mysql2's connection that is used directly. */
interface MysqlConnection {
  readonly stream: Socket;
}

/** A pool, and what can be done to it from outside of knex. */
export interface MysqlPool {
  readonly knex: Knex;
  /** From now on new connections use these, and the idle connection that is asked next is replaced. */
  updateCredentials(credentials: MysqlCredentials): void;
  /** Breaks every connection, so that calls that wait on a dead network path fail now and not in a quarter of an hour. */
  dropConnections(): void;
}

/** Makes the pool; connects only when a query asks for it. */
export function openMysql(options: MysqlOptions, timing: DatabaseTiming): MysqlPool {
  let current = options;
  const connections = new Set<MysqlConnection>();

  const database = knex({
    client: 'mysql2',
    connection: () => {
      const settings = current;
      return { ...connectionSettings(settings), expirationChecker: () => settings !== current };
    },
    compileSqlOnError: false,
    log: silentLog,
    acquireConnectionTimeout: timing.callDeadlineMillis,
    pool: {
      min: 0,
      max: poolConnections,
      afterCreate(connection: MysqlConnection, done: (error: unknown, connection: MysqlConnection) => void) {
        connections.add(connection);
        connection.stream.once('close', () => connections.delete(connection));
        done(null, connection);
      },
    },
  });

  return {
    knex: database,
    updateCredentials(credentials) {
      current = { ...current, ...credentials };
    },
    dropConnections() {
      for (const { stream } of connections) {
        stream.destroy(new Error('the connection was given up because the database did not answer'));
      }
    },
  };
}

function connectionSettings(options: MysqlOptions): Knex.MySql2ConnectionConfig {
  return {
    host: options.host,
    port: options.port,
    database: options.database,
    charset: 'utf8mb4',
    connectTimeout: connectTimeoutMillis,
    enableKeepAlive: true,
    keepAliveInitialDelay: keepAliveDelayMillis,
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.tls === undefined ? {} : { ssl: tlsSettings(options.tls) }),
  };
}

/**
 * With the system's authorities the certificate must carry the server's name, or else any certificate on earth would
 * do. With an authority of the user's own its signature is proof enough, as `--ssl-ca` of MySQL's own client has it:
 * the certificates that a MySQL server makes for itself carry no name at all.
 */
function tlsSettings(tls: MysqlTls): MysqlTls & { rejectUnauthorized: boolean; verifyIdentity: boolean } {
  return { ...tls, rejectUnauthorized: true, verifyIdentity: tls.ca === undefined };
}
