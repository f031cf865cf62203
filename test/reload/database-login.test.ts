/** The login of MySQL changes, and the database is away, while a tracker starts or runs. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { announceTarget, failureOf } from '../net/http-exchange.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import { type MariadbServer, openLink, startMariadb } from '../support/mariadb.ts';
import { needs } from '../support/parts.ts';
import { type PartialConfig, start, temporaryFolder, writeConfig } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { ANY, startLiveTracker, stopInOrder, TOKEN } from './live-tracker.ts';

const DEADLINE_MILLIS = 60_000;

describe('A tracker with MySQL', needs('mariadb'), () => {
  let server: MariadbServer | undefined;
  before(async () => {
    server = await startMariadb();
  });
  after(() => server?.close());

  /** A database with a user of its own, whose password is in a file. */
  async function prepare(folder: string, password: string) {
    assert.ok(server, 'the suite has begun');
    const { execute } = server;
    const access = await server.createDatabase();
    const { database } = access;
    const user = `u${database.slice(-12)}`;
    await execute(database, `create user '${user}'@'%' identified by '${password}'`);
    await execute(database, `grant all on ${database}.* to '${user}'@'%'`);
    const passwordFile = join(folder, 'password');
    const config = (port = access.port): PartialConfig['core'] => ({
      listed: true,
      database: {
        driver: 'mysql',
        host: access.host,
        port,
        user,
        password_file: passwordFile,
        database,
      },
    });
    const change = (next: string) =>
      execute(database, `alter user '${user}'@'%' identified by '${next}'; flush privileges`);
    return { access, config, change, passwordFile };
  }

  test('starts as soon as a wrong password is mended in its file', async (context) => {
    const folder = temporaryFolder(context);
    const { config, passwordFile } = await prepare(folder, 'right-password');
    writeFileSync(passwordFile, 'wrong-password');
    const core = config();
    const path = writeConfig(folder, { ...(core && { core }), http_trackers: [ANY] });
    const running = start(context, ['run', '--config', path], { env: {}, folder });
    await waitFor('it waits', () => running.stdout().includes('Waiting for the database'), DEADLINE_MILLIS);
    writeFileSync(passwordFile, 'right-password\n');
    const isUp = () => {
      assert.ok(!running.hasEnded(), running.stderr());
      return running.stdout().includes('HEALTH CHECK API');
    };
    await waitFor('it is up', isUp, DEADLINE_MILLIS).catch((error: unknown) => {
      throw new Error(`the log is:\n${running.stdout()}`, { cause: error });
    });
    assert.deepEqual(await running.end('SIGTERM'), { code: 0, signal: null });
    assert.doesNotMatch(running.stdout(), /(right|wrong)-password/);
  });

  test('goes on with the new password when that was changed', async (context) => {
    const folder = temporaryFolder(context);
    const { config, change, passwordFile } = await prepare(folder, 'first-password');
    writeFileSync(passwordFile, 'first-password');
    const core = config();
    const tracker = await startLiveTracker(
      context,
      {
        ...(core && { core }),
        http_trackers: [ANY],
        http_api: { ...ANY, access_tokens: { admin: TOKEN } },
      },
      folder,
    );
    const list = async () => {
      const path = `whitelist/${newInfoHash().toString('hex')}`;
      const reply = await fetch(`${tracker.api}/api/v1/${path}?token=${TOKEN}`, { method: 'POST' });
      await reply.body?.cancel();
      return reply.status;
    };
    assert.equal(await list(), 200);
    await change('second-password');
    writeFileSync(passwordFile, 'second-password');
    await tracker.line(/The login of the database: taken over/);
    assert.equal(await list(), 200);
    assert.doesNotMatch(tracker.stdout(), /(first|second)-password/);
    await stopInOrder(tracker);
  });

  test('becomes listed when the database is back, and not before', async (context) => {
    const folder = temporaryFolder(context);
    const { access, config, passwordFile } = await prepare(folder, 'a-password');
    writeFileSync(passwordFile, 'a-password');
    const link = await openLink(access);
    context.after(() => link.close());
    const core = config(link.port);
    const tracker = await startLiveTracker(
      context,
      { core: { ...core, listed: false }, http_trackers: [ANY] },
      folder,
    );
    await link.cut();
    tracker.rewrite({ core: { ...core, listed: true }, http_trackers: [ANY] });
    await tracker.line(/waits for the database/);
    const reply = await fetch(`http://127.0.0.1:${tracker.http[0].port}${announceTarget(newInfoHash())}`);
    assert.match(await reply.text(), /8:interval/);
    await link.restore();
    await waitFor('it is taken over', () => tracker.lines(/Taken over/).length > 0, DEADLINE_MILLIS);
    const { reason } = await failureOf(tracker.http[0], announceTarget(newInfoHash()));
    assert.match(reason, /whitelist/);
    assert.equal(tracker.lines(/waits for the database/).length, 1);
    await stopInOrder(tracker);
  });
});
