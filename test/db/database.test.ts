/** What a tracker may count on, whichever database it has. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DatabaseError } from '../../tracker/db/error.ts';
import type { StoredKey } from '../../tracker/db/model.ts';
import { drivers } from './drivers.ts';

const infoHash = (n: number): string => n.toString(16).padStart(40, '0');
const keyNamed = (name: string): string => name.padEnd(32, '0');

function hasCode(code: DatabaseError['code']): (error: unknown) => boolean {
  return (error) => error instanceof DatabaseError && error.code === code;
}

for (const { kind, needed, createSite } of drivers) {
  describe(`database on ${kind}`, needed, () => {
    const lifetimes: readonly [string, StoredKey][] = [
      ['an expiring key', { key: keyNamed('expiring'), validUntilSeconds: 1_800_000_000 }],
      ['a key that expires after 2038', { key: keyNamed('late'), validUntilSeconds: 4_102_444_800 }],
      [
        'the longest expiry that a number holds',
        { key: keyNamed('longest'), validUntilSeconds: 2 ** 53 - 1 },
      ],
      ['a permanent key', { key: keyNamed('permanent'), validUntilSeconds: null }],
      ['an expired key', { key: keyNamed('expired'), validUntilSeconds: 0 }],
    ];
    for (const [what, key] of lifetimes) {
      test(`keeps ${what} over a restart and removes it once`, async (context) => {
        const site = await createSite(context);
        const before = await site.open();
        await before.addKey(key);
        await before.close();
        const database = await site.open();
        assert.deepEqual(await database.loadKeys(), [key]);
        assert.equal(await database.removeKey(key.key), true);
        assert.equal(await database.removeKey(key.key), false);
        assert.deepEqual(await database.loadKeys(), []);
      });
    }

    test('refuses a key that is there, and never tells it', async (context) => {
      const database = await (await createSite(context)).open();
      const key = keyNamed('secret');
      await database.addKey({ key, validUntilSeconds: 1 });
      await assert.rejects(database.addKey({ key, validUntilSeconds: null }), (error) => {
        assert(error instanceof DatabaseError);
        assert.equal(error.code, 'duplicate');
        assert.equal(error.operation, 'addKey');
        assert.equal(error.driver, kind === 'mysql' ? 'MySQL' : 'Sqlite3');
        assert.equal(error.detail, 'UNIQUE constraint failed: keys.key');
        assert(!`${error.stack} ${String(error.cause)}`.includes(key));
        return true;
      });
      assert.deepEqual(await database.loadKeys(), [{ key, validUntilSeconds: 1 }]);
    });

    test('tells keys apart that differ only in case', async (context) => {
      const database = await (await createSite(context)).open();
      await database.addKey({ key: keyNamed('abc'), validUntilSeconds: 1 });
      await database.addKey({ key: keyNamed('ABC'), validUntilSeconds: 2 });
      assert.equal(await database.removeKey(keyNamed('ABC')), true);
      assert.deepEqual(await database.loadKeys(), [{ key: keyNamed('abc'), validUntilSeconds: 1 }]);
    });

    test('adds to and removes from the whitelist any number of times', async (context) => {
      const database = await (await createSite(context)).open();
      await database.addToWhitelist(infoHash(1));
      await database.addToWhitelist(infoHash(1));
      await database.addToWhitelist(infoHash(2));
      assert.deepEqual((await database.loadWhitelist()).toSorted(), [infoHash(1), infoHash(2)]);
      await database.removeFromWhitelist(infoHash(1));
      await database.removeFromWhitelist(infoHash(1));
      assert.deepEqual(await database.loadWhitelist(), [infoHash(2)]);
    });

    test('sees and removes what another program put into the whitelist, in capitals too', async (context) => {
      const site = await createSite(context);
      const database = await site.open();
      const hash = 'abcdef'.padStart(40, '0');
      await site.direct('whitelist').insert({ info_hash: hash.toUpperCase() });
      assert.deepEqual(await database.loadWhitelist(), [hash]);
      await database.removeFromWhitelist(hash);
      assert.deepEqual(await database.loadWhitelist(), []);
    });

    test('leaves malformed rows out, says how many, and loads the others', async (context) => {
      const site = await createSite(context);
      const skipped: unknown[] = [];
      const database = await site.open({ onSkippedRows: (table, count) => skipped.push([table, count]) });
      await site.direct('keys').insert([
        { key: 'short', valid_until: 1 },
        { key: keyNamed('with blank '), valid_until: 1 },
        { key: keyNamed('negative'), valid_until: -5 },
      ]);
      await site.direct('whitelist').insert([{ info_hash: 'zz' }, { info_hash: infoHash(7) }]);
      assert.deepEqual(await database.loadKeys(), [{ key: keyNamed('negative'), validUntilSeconds: 5 }]);
      assert.deepEqual(await database.loadWhitelist(), [infoHash(7)]);
      assert.deepEqual(skipped, [
        ['keys', 2],
        ['whitelist', 1],
      ]);
    });

    test('adds counters to what is stored, each batch once', async (context) => {
      const site = await createSite(context);
      const database = await site.open();
      await database.addCompleted('first', new Map([[infoHash(1), 2]]));
      await database.addCompleted(
        'second',
        new Map([
          [infoHash(1), 40],
          [infoHash(2), 1],
        ]),
      );
      await database.addCompleted('first', new Map([[infoHash(1), 2]]));
      const after = await site.open();
      await after.addCompleted('second', new Map([[infoHash(2), 1]]));
      assert.deepEqual(
        await after.loadCompleted([infoHash(1), infoHash(2), infoHash(3)]),
        new Map([
          [infoHash(1), 42],
          [infoHash(2), 1],
        ]),
      );
      assert.equal(await after.totalCompleted(), 43);
    });

    test('counts past 32 bits', async (context) => {
      const database = await (await createSite(context)).open();
      await database.addCompleted('first', new Map([[infoHash(1), 2 ** 32]]));
      await database.addCompleted('second', new Map([[infoHash(1), 2 ** 32]]));
      assert.deepEqual(await database.loadCompleted([infoHash(1)]), new Map([[infoHash(1), 2 ** 33]]));
      assert.equal(await database.totalCompleted(), 2 ** 33);
    });

    test('takes a batch and a question of thousands of torrents', async (context) => {
      const database = await (await createSite(context)).open();
      const batch = new Map(Array.from({ length: 3001 }, (_, n) => [infoHash(n), (n % 3) + 1]));
      await database.addCompleted('first', batch);
      await database.addCompleted('second', batch);
      const stored = await database.loadCompleted([...batch.keys()]);
      assert.deepEqual(stored, new Map([...batch].map(([hash, count]) => [hash, count * 2])));
    });

    test('adds up what several trackers count at the same time', async (context) => {
      const site = await createSite(context);
      const trackers = await Promise.all([site.open(), site.open(), site.open()]);
      const flushes = trackers.flatMap((tracker, number) =>
        Array.from({ length: 10 }, (_, flush) =>
          tracker.addCompleted(
            `tracker-${number}-flush-${flush}`,
            // Every tracker counts in an order of its own.
            new Map(Array.from({ length: 20 }, (_unused, n) => [infoHash((n * 7 + number * 5) % 20), 1])),
          ),
        ),
      );
      await Promise.all(flushes);
      const [first] = trackers;
      assert(first !== undefined);
      const hashes = Array.from({ length: 20 }, (_, n) => infoHash(n));
      assert.deepEqual(await first.loadCompleted(hashes), new Map(hashes.map((hash) => [hash, 30])));
      assert.equal(await first.totalCompleted(), 600);
    });

    test('forgets the oldest of very many batches, and never the last', async (context) => {
      const site = await createSite(context);
      await (await site.open()).close();
      const rows = Array.from({ length: 10_200 }, (_, n) => ({ batch_id: `old-${n}` }));
      await site.direct.batchInsert('torrent_completed_batches', rows, 400);
      const database = await site.open();
      await database.addCompleted('new', new Map([[infoHash(1), 1]]));
      await database.addCompleted('new', new Map([[infoHash(1), 1]]));
      await database.addCompleted('old-10199', new Map([[infoHash(1), 1]]));
      assert.equal(await database.totalCompleted(), 1);
      const remembered: string[] = await site.direct('torrent_completed_batches').pluck('batch_id');
      assert.equal(remembered.length, 10_001);
      assert(!remembered.includes('old-199') && remembered.includes('old-200'));
    });

    test('uses up no row numbers for torrents that are there', async (context) => {
      const site = await createSite(context);
      const database = await site.open();
      for (let flush = 0; flush < 20; flush += 1) {
        await database.addCompleted(`flush-${flush}`, new Map([[infoHash(1), 1]]));
      }
      await database.addCompleted('last', new Map([[infoHash(2), 1]]));
      const newest: unknown = await site
        .direct('torrents')
        .where({ info_hash: infoHash(2) })
        .first('id');
      assert.deepEqual(newest, { id: 2 });
    });

    test('holds what a plain map holds after any flushes and repetitions', async (context) => {
      const database = await (await createSite(context)).open();
      const model = new Map<string, number>();
      let run = 0;
      const batch = fc.array(fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 1000 })), { maxLength: 6 });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(batch, fc.integer({ min: 1, max: 3 })), { maxLength: 5 }),
          async (flushes) => {
            run += 1;
            for (const [number, [entries, times]] of flushes.entries()) {
              const increments = new Map(entries.map(([n, count]) => [infoHash(n), count]));
              for (let repetition = 0; repetition < times; repetition += 1) {
                await database.addCompleted(`run-${run}-${number}`, increments);
              }
              for (const [hash, count] of increments) model.set(hash, (model.get(hash) ?? 0) + count);
            }
            assert.deepEqual(
              await database.loadCompleted(Array.from({ length: 10 }, (_, n) => infoHash(n))),
              model,
            );
            assert.equal(
              await database.totalCompleted(),
              [...model.values()].reduce((sum, count) => sum + count, 0),
            );
          },
        ),
        { numRuns: 15, endOnFailure: true },
      );
    });

    test('answers with an error and goes on when a table is dropped behind its back', async (context) => {
      const site = await createSite(context);
      const database = await site.open();
      await site.direct.schema.dropTable('whitelist');
      await assert.rejects(database.addToWhitelist(infoHash(1)), hasCode('refused'));
      await assert.rejects(database.loadWhitelist(), (error: DatabaseError) =>
        /whitelist/.test(error.detail),
      );
      assert.deepEqual(database.state(), { kind: 'up' });
      await database.addKey({ key: keyNamed('still'), validUntilSeconds: null });
      assert.equal((await database.loadKeys()).length, 1);
    });

    test('rejects calls after it was closed, and finishes those before', async (context) => {
      const site = await createSite(context);
      const database = await site.open();
      const last = database.addKey({ key: keyNamed('last'), validUntilSeconds: null });
      await database.close();
      await last;
      await assert.rejects(database.loadKeys(), hasCode('closed'));
      assert.equal((await (await site.open()).loadKeys()).length, 1);
      await database.close();
    });
  });
}
