/** Changes of the tables survive what happens to processes: being killed, and being started several times at once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { migrationSteps } from '../../tracker/db/migrations.ts';
import { drivers, type Site } from './drivers.ts';

interface Outcome {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

async function runProcess(script: string, ...args: string[]): Promise<Outcome> {
  const path = fileURLToPath(new URL(`./processes/${script}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (text) => (errors += String(text)));
  await once(child, 'close');
  return { exitCode: child.exitCode, signal: child.signalCode, errors };
}

async function assertWholeFlatEra(site: Site): Promise<void> {
  const database = await site.open();
  const permanent = { key: 'Permanent00000000000000000000000', validUntilSeconds: null };
  await database.addKey(permanent);
  assert.deepEqual(await database.loadKeys(), [
    { key: 'FlatEraKey0000000000000000000001', validUntilSeconds: 1_700_000_000 },
    { key: 'FlatEraKey0000000000000000000002', validUntilSeconds: 1_900_000_000 },
    permanent,
  ]);
  assert.equal((await database.loadWhitelist()).length, 2);
  await database.addCompleted('batch', new Map([['a1'.padStart(40, '0'), 2 ** 32]]));
  assert.equal(await database.totalCompleted(), 7 + 2 ** 32);
}

for (const { kind, needed, createSite } of drivers) {
  describe(`migrations on ${kind}`, needed, () => {
    for (const { name } of migrationSteps) {
      test(`go on after a process was killed in ${name}`, async (context) => {
        const site = await createSite(context);
        await site.load('flat-era');
        const { signal, errors } = await runProcess('migrate-and-die.ts', JSON.stringify(site.options), name);
        assert.equal(signal, 'SIGKILL', errors);
        await assertWholeFlatEra(site);
      });
    }

    for (const fixture of [undefined, 'flat-era']) {
      test(`happen once when three processes start at once on ${fixture ?? 'an empty database'}`, async (context) => {
        const site = await createSite(context);
        if (fixture !== undefined) await site.load(fixture);
        const options = JSON.stringify(site.options);
        const outcomes = await Promise.all([1, 2, 3].map(() => runProcess('start.ts', options)));
        assert.deepEqual(
          outcomes,
          Array.from({ length: 3 }, () => ({ exitCode: 0, signal: null, errors: '' })),
        );
        const recorded: string[] = await site.direct('knex_migrations').orderBy('id').pluck('name');
        assert.deepEqual(
          recorded,
          migrationSteps.map((step) => step.name),
        );
        if (fixture !== undefined) await assertWholeFlatEra(site);
      });
    }

    test('open the lock that a killed process left behind', async (context) => {
      const site = await createSite(context);
      await site.load('flat-era');
      await (await site.open()).close();
      await site.direct('knex_migrations_lock').update({ is_locked: 1 });
      await assertWholeFlatEra(site);
    });

    test('bring back a table that was dropped, and keep the others', async (context) => {
      const site = await createSite(context);
      await site.load('flat-era');
      await (await site.open()).close();
      await site.direct.schema.dropTable('torrents');
      await site.direct.schema.dropTable('torrent_completed_batches');
      const database = await site.open();
      await database.addCompleted('batch', new Map([['a1'.padStart(40, '0'), 1]]));
      assert.equal((await database.loadWhitelist()).length, 2);
    });

    test('go beside those of another program and of a newer tracker', async (context) => {
      const site = await createSite(context);
      await (await site.open()).close();
      await site
        .direct('knex_migrations')
        .insert({ name: '20990101000000_of_another', batch: 9, migration_time: new Date() });
      const database = await site.open();
      assert.deepEqual(database.state(), { kind: 'up' });
      const recorded: string[] = await site.direct('knex_migrations').pluck('name');
      assert(recorded.includes('20990101000000_of_another'));
    });
  });
}
