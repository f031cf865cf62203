/**
 * A real MariaDB for tests: the server that TEST_MYSQL_URL names, or one of our own in a temporary folder, on a free
 * port of the loopback interface, run by the user who runs the tests. Every test gets a database of its own, and may
 * reach it over a link that it can cut, freeze or slow down, which is how a network fails.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection, type Connection } from 'mysql2/promise';
import { findProgram } from './programs.ts';

const startDeadlineMillis = 60_000;
const stopDeadlineMillis = 20_000;

/** Where a database is and who may use it. */
export interface MysqlAccess {
  readonly kind: 'mysql';
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** A server for tests. */
export interface MariadbServer {
  /** Makes an empty database. */
  createDatabase(): Promise<MysqlAccess>;
  /** Runs statements as administrator in a database; several may be joined by semicolons. */
  execute(database: string, sql: string): Promise<void>;
  /** Drops the databases that were made, and stops the server if it is our own. */
  close(): Promise<void>;
}

type Administrator = Omit<MysqlAccess, 'kind' | 'database'>;

/** Connects to the server of TEST_MYSQL_URL or starts one. Rejects with the server's log when it doesn't come up. */
export async function startMariadb(): Promise<MariadbServer> {
  const url = process.env['TEST_MYSQL_URL'];
  if (url !== undefined && url !== '') {
    const { hostname, port, username, password } = new URL(url);
    const administrator = {
      host: hostname,
      port: Number(port || 3306),
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
    };
    return openServer(administrator, async () => {});
  }
  return startOwnMariadb();
}

/** Starts a server of our own, with further arguments for `mariadbd`, whatever TEST_MYSQL_URL names. */
export async function startOwnMariadb(options: readonly string[] = []): Promise<MariadbServer> {
  const own = await startOwnServer(options);
  try {
    return await openServer(own.administrator, own.stop);
  } catch (error) {
    await own.stop();
    throw error;
  }
}

async function openServer(administrator: Administrator, stop: () => Promise<void>): Promise<MariadbServer> {
  const databases: string[] = [];
  const connection = await createConnection({ ...administrator, multipleStatements: true });
  return {
    async createDatabase() {
      const database = `tracker_test_${randomBytes(6).toString('hex')}`;
      await connection.query('create database ??', [database]);
      databases.push(database);
      return { kind: 'mysql', ...administrator, database };
    },
    async execute(database, sql) {
      await connection.query('use ??', [database]);
      await connection.query(sql);
    },
    async close() {
      try {
        for (const database of databases) {
          await connection.query('drop database if exists ??', [database]);
        }
        await connection.end();
      } finally {
        await stop();
      }
    },
  };
}

async function startOwnServer(
  options: readonly string[],
): Promise<{ administrator: Administrator; stop(): Promise<void> }> {
  const program = findProgram('mariadbd');
  const installer = findProgram('mariadb-install-db');
  assert(
    program !== undefined && installer !== undefined,
    "declare needs('mariadb') before the server is started",
  );
  const folder = mkdtempSync(join(tmpdir(), 'tracker-mariadb-'));
  const logFile = join(folder, 'server.log');
  // A folder of its own for temporary files as well: two installations at once collide in a shared one.
  const shared = [
    '--no-defaults',
    `--datadir=${join(folder, 'data')}`,
    `--tmpdir=${folder}`,
    `--user=${userInfo().username}`,
  ];
  let server: ChildProcess | undefined;

  const stop = async (): Promise<void> => {
    if (server !== undefined && server.exitCode === null && server.signalCode === null) {
      const exit = once(server, 'exit');
      server.kill('SIGTERM');
      await Promise.race([exit, delay(stopDeadlineMillis, undefined, { ref: false })]);
      server.kill('SIGKILL');
      await exit;
    }
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    const install = spawnSync(
      installer,
      [...shared, '--auth-root-authentication-method=normal', '--skip-test-db'],
      { encoding: 'utf8' },
    );
    assert.equal(install.status, 0, `mariadb-install-db failed: ${install.stderr}${install.stdout}`);
    const port = await freePort();
    server = spawn(
      program,
      [
        ...shared,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        `--socket=${join(folder, 'socket')}`,
        `--pid-file=${join(folder, 'pid')}`,
        `--log-error=${logFile}`,
        '--skip-name-resolve',
        '--innodb-buffer-pool-size=32M',
        // A power failure of a test's database matters to nobody.
        '--innodb-flush-log-at-trx-commit=0',
        ...options,
      ],
      { stdio: 'ignore' },
    );
    const administrator = { host: '127.0.0.1', port, user: 'root', password: '' };
    await untilConnected(administrator, server, logFile);
    return { administrator, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function untilConnected(
  administrator: Administrator,
  server: ChildProcess,
  logFile: string,
): Promise<void> {
  const deadline = Date.now() + startDeadlineMillis;
  for (;;) {
    let connection: Connection | undefined;
    try {
      connection = await createConnection(administrator);
      return;
    } catch (error) {
      if (server.exitCode !== null || Date.now() > deadline) {
        throw new Error(`MariaDB did not come up: ${readFileSync(logFile, 'utf8')}`, { cause: error });
      }
      await delay(50);
    } finally {
      await connection?.end();
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server that listens has an address with a port.
  server.close();
  await once(server, 'close');
  return port;
}

/** A way to a server that can fail like a network. */
export interface Link {
  readonly host: string;
  readonly port: number;
  /** Breaks all connections and refuses new ones. */
  cut(): Promise<void>;
  /** Takes connections, but lets no byte through, in either direction, on old ones and new. */
  freeze(): void;
  /** Lets what is sent together through only so much later; 0: at once. */
  slow(millis: number): void;
  /** Lets everything through again. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a link to a server on a port of its own, at an address of this machine; new connections pass at once. */
export async function openLink(target: { host: string; port: number }, address = '127.0.0.1'): Promise<Link> {
  const sockets = new Set<Socket>();
  let frozen = false;
  let slowMillis = 0;
  const server = createServer((near) => {
    const far = connect(target.port, target.host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      let earlier = Promise.resolve();
      from.on('data', (bytes) => {
        earlier = earlier
          .then(() => (slowMillis === 0 ? undefined : delay(slowMillis)))
          .then(() => void to.write(bytes));
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (frozen) from.pause();
    }
  });
  const listen = async (port: number): Promise<void> => {
    server.listen(port, address);
    await once(server, 'listening');
  };
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const stopListening = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    breakAll();
    await closed;
  };
  await listen(0);
  const { port } = server.address() as AddressInfo; // A TCP server that listens has an address with a port.
  return {
    host: address,
    port,
    cut: stopListening,
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    slow(millis) {
      slowMillis = millis;
    },
    async restore() {
      frozen = false;
      for (const socket of sockets) socket.resume();
      if (!server.listening) await listen(port);
    },
    close: stopListening,
  };
}
