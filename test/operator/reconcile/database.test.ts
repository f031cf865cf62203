/**
 * A pod that waits for its database says why before it is ready, and the status says it too: a real tracker and a real
 * MariaDB behind a link that fails, under the operator against a real API server.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { sharedMariadb } from '../../db/drivers.ts';
import { openLink } from '../../support/mariadb.ts';
import { needs } from '../../support/parts.ts';
import { start, temporaryFolder, writeConfig } from '../../support/tracker-process.ts';
import { waitFor } from '../../support/waiting.ts';
import { loopbackAddress, loopbackConfig, randomListeners } from '../probe/loopback-pod.ts';
import {
  makeNamespace,
  objectIn,
  playPod,
  playWorkload,
  readyAt,
  sentence,
  startOperator,
  told,
  waitForObject,
} from './running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

const USER = 'torrust';

/** A database with a user whose password is `right`. */
async function makeDatabase() {
  const mariadb = await sharedMariadb();
  const access = await mariadb.createDatabase();
  const { database } = access;
  await mariadb.execute(
    database,
    `create user if not exists '${USER}'@'%' identified by 'right'; grant all on ${database}.* to '${USER}'@'%'`,
  );
  return access;
}

/** Waits until DatabaseReady of the tracker says so. */
async function sees(namespace: string, state: string, message: RegExp): Promise<void> {
  let last = '';
  try {
    await waitForObject(
      server(),
      trackerObject('public', {}, namespace),
      `DatabaseReady is ${state}`,
      (found) => {
        last = `${told(found, 'DatabaseReady')}: ${sentence(found, 'DatabaseReady')}`;
        return told(found, 'DatabaseReady') === state && message.test(sentence(found, 'DatabaseReady'));
      },
      60_000,
    );
  } catch (error) {
    throw new Error(`at last it was ${last}`, { cause: error });
  }
}

test(
  'MySQL that can not be reached, and a wrong password, are told while the pod starts, and heal',
  needs('apiserver', 'mariadb'),
  async (context: TestContext) => {
    const access = await makeDatabase();
    const link = await openLink(access);
    context.after(() => link.close());
    await link.cut();
    const folder = temporaryFolder(context);
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'wrong');
    const [address, listeners] = [loopbackAddress(), randomListeners()];
    const { host, port } = link;
    const { database } = access;
    const config = writeConfig(folder, {
      ...loopbackConfig(address, listeners),
      core: {
        private: true,
        database: { driver: 'mysql', host, port, user: USER, database, password_file: passwordFile },
      },
    });
    const tracker = start(context, ['run', '--config', config], { env: {}, folder });

    const operator = await startOperator(context, server());
    const namespace = await makeNamespace(server());
    const encoded = (text: string) => Buffer.from(text).toString('base64');
    await server().admin.apply({
      ...objectIn(namespace, 'v1', 'Secret', 'db'),
      data: { username: encoded(USER), password: encoded('wrong') },
    });
    const mysql = { host, port, database, credentialsSecretRef: { name: 'db' } };
    await server().admin.apply(
      trackerObject('public', { ...listeners, mode: 'Private', database: { mysql } }, namespace),
    );
    const workload = objectIn(namespace, 'apps/v1', 'Deployment', 'public');
    await waitForObject(server(), workload, 'made');
    await playWorkload(server(), workload, { isReady: false });
    await playPod(server(), namespace, 'public', {
      ...readyAt(address),
      conditions: [{ type: 'Ready', status: 'False' }],
    });
    await sees(
      namespace,
      'False DatabaseDown',
      /does not answer \(.*ECONNREFUSED.*\): see that the server runs, .* The pods wait for it/,
    );
    const waiting = await server().admin.get(trackerObject('public', {}, namespace));
    assert(waiting !== undefined);
    assert.equal(told(waiting, 'Ready'), 'False DatabaseDown');
    assert.equal(told(waiting, 'ProbeSucceeded'), 'Unknown NotProbed');

    await link.restore();
    await sees(
      namespace,
      'False DatabaseDown',
      /Access denied.*: correct username and password in the Secret db/,
    );
    assert.doesNotMatch(JSON.stringify(operator.events), /"wrong"/);

    writeFileSync(passwordFile, 'right');
    await waitFor('a tracker that is up', () => {
      assert.equal(tracker.hasEnded(), false, tracker.stdout());
      return tracker.stdout().includes('HEALTH CHECK API: Started');
    });
    // The kubelet would say so now.
    await playWorkload(server(), workload, { isReady: true });
    await playPod(server(), namespace, 'public', readyAt(address));
    await sees(namespace, 'True DatabaseUp', /./);
    await waitForObject(
      server(),
      trackerObject('public', {}, namespace),
      'ready',
      (found) => told(found, 'Ready') === 'True Serving',
    );
    assert.deepEqual(operator.complaints, []);
  },
);
