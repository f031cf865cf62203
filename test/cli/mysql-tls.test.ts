/** The connection to MySQL, encrypted: a real MariaDB with a certificate, and a user who may not come without. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { selfSigned } from '../api/certificates.ts';
import { type MariadbServer, type MysqlAccess, startOwnMariadb } from '../support/mariadb.ts';
import { needs } from '../support/parts.ts';
import { start, startTrackerProcess, temporaryFolder, writeConfig } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

const PASSWORD = 'word-of-the-test';

describe('A tracker whose database wants TLS', needs('mariadb'), () => {
  let server: MariadbServer | undefined;
  let access: MysqlAccess | undefined;
  let folder = '';
  const cleaners: (() => void)[] = [];

  before(async () => {
    folder = temporaryFolder({ after: (cleaner) => cleaners.push(cleaner) });
    for (const name of ['server', 'other']) {
      const { cert, key } = selfSigned(name);
      writeFileSync(join(folder, `${name}.crt`), cert);
      // The server runs as its own user.
      writeFileSync(join(folder, `${name}.key`), key);
    }
    server = await startOwnMariadb([
      `--ssl-cert=${join(folder, 'server.crt')}`,
      `--ssl-key=${join(folder, 'server.key')}`,
    ]);
    access = await server.createDatabase();
    await server.execute(
      access.database,
      `create user tracker@'127.0.0.1' identified by '${PASSWORD}' require ssl; grant all on *.* to tracker@'127.0.0.1'`,
    );
  });
  after(async () => {
    await server?.close();
    cleaners.forEach((clean) => clean());
  });

  /** A private tracker, which is ready only with its database. */
  function config(tls: { ca_file?: string } | undefined) {
    assert(access, 'the suite has begun');
    const { host, port, database } = access;
    const login = { user: 'tracker', password: PASSWORD };
    return {
      core: {
        private: true,
        database: { driver: 'mysql' as const, host, port, database, ...login, ...(tls && { tls }) },
      },
      http_api: { bind_address: '127.0.0.1:0', access_tokens: { admin: 'a-token' } },
    };
  }

  test('keeps its keys there when it knows the authority', async (context) => {
    const tracker = await startTrackerProcess(context, config({ ca_file: join(folder, 'server.crt') }));
    const url = `${tracker.api}/api/v1/key/3600`;
    const reply = await fetch(url, { method: 'POST', headers: { authorization: 'Bearer a-token' } });
    assert.equal(reply.status, 200);
    assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
  });

  const refused = {
    'says that the certificate is of another authority': {
      tls: () => ({ ca_file: join(folder, 'other.crt') }),
      says: /certificate/,
    },
    'says that the server lets it in only by TLS': { tls: () => undefined, says: /Access denied/ },
  };
  for (const [title, { tls, says }] of Object.entries(refused)) {
    test(`${title}, and waits`, async (context) => {
      const own = temporaryFolder(context);
      const running = start(context, ['run', '--config', writeConfig(own, config(tls()))], {
        env: {},
        folder: own,
      });
      await waitFor('a line about the database', () => says.test(running.stdout()));
      assert.doesNotMatch(running.stdout(), new RegExp(PASSWORD));
      assert.deepEqual(await running.end('SIGTERM'), { code: 0, signal: null });
    });
  }
});
