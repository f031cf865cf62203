/** Databases that Torrust left behind open with all that is in them, and stay readable for Torrust's tools. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StoredKey } from '../../tracker/db/model.ts';
import { drivers } from './drivers.ts';

interface Generation {
  readonly fixture: string;
  readonly keys: readonly StoredKey[];
  readonly whitelist: readonly string[];
  readonly completed: ReadonlyMap<string, number>;
  readonly totalCompleted: number;
}

const infoHash = (end: string): string => end.padStart(40, '0');

const generations: readonly Generation[] = [
  {
    fixture: 'flat-era',
    keys: [
      { key: 'FlatEraKey0000000000000000000001', validUntilSeconds: 1_700_000_000 },
      { key: 'FlatEraKey0000000000000000000002', validUntilSeconds: 1_900_000_000 },
    ],
    whitelist: [infoHash('a1'), infoHash('a2')],
    completed: new Map([
      [infoHash('a1'), 7],
      [infoHash('a3'), 0],
    ]),
    totalCompleted: 7,
  },
  {
    fixture: 'v3.0.0',
    keys: [
      { key: 'Version3Key000000000000000000001', validUntilSeconds: 1_800_000_000 },
      { key: 'Version3Key000000000000000000002', validUntilSeconds: null },
    ],
    whitelist: [infoHash('b1')],
    completed: new Map([
      [infoHash('b1'), 41],
      [infoHash('b2'), 1],
    ]),
    totalCompleted: 42,
  },
  {
    fixture: 'newer-upstream',
    keys: [
      { key: 'NewerUpstreamKey0000000000000001', validUntilSeconds: 1_800_000_000 },
      { key: 'NewerUpstreamKey0000000000000002', validUntilSeconds: null },
    ],
    whitelist: [infoHash('c1')],
    completed: new Map([[infoHash('c1'), 5_000_000_000]]),
    totalCompleted: 5_000_000_123,
  },
];

for (const { kind, needed, createSite } of drivers) {
  describe(`a database of Torrust on ${kind}`, needed, () => {
    for (const { fixture, keys, whitelist, completed, totalCompleted } of generations) {
      test(`of the generation ${fixture} opens with everything in it, and takes what is new`, async (context) => {
        const site = await createSite(context);
        await site.load(fixture);
        const database = await site.open();
        assert.deepEqual(await database.loadKeys(), keys);
        assert.deepEqual((await database.loadWhitelist()).toSorted(), whitelist);
        assert.deepEqual(await database.loadCompleted([...completed.keys()]), completed);
        assert.equal(await database.totalCompleted(), totalCompleted);

        const additions: StoredKey[] = [
          { key: 'PermanentKey00000000000000000000', validUntilSeconds: null },
          { key: 'After2038Key00000000000000000000', validUntilSeconds: 4_102_444_800 },
        ];
        for (const key of additions) await database.addKey(key);
        const [[first, count] = ['', 0]] = completed;
        await database.addCompleted('batch', new Map([[first, 2 ** 32]]));
        await database.close();

        const again = await site.open();
        assert.deepEqual(await again.loadKeys(), [...keys, ...additions]);
        assert.deepEqual(await again.loadCompleted([first]), new Map([[first, count + 2 ** 32]]));
        assert.equal(await again.totalCompleted(), totalCompleted + 2 ** 32);
        await assert.rejects(again.addKey({ key: additions[0]?.key ?? '', validUntilSeconds: 1 }), {
          code: 'duplicate',
        });
        await assert.rejects(again.addKey({ key: keys[0]?.key ?? '', validUntilSeconds: 1 }), {
          code: 'duplicate',
        });
      });

      test(`of the generation ${fixture} keeps the rows that Torrust's tools read`, async (context) => {
        const site = await createSite(context);
        await site.load(fixture);
        const read = async (): Promise<unknown> => ({
          keys: await site.direct('keys').select('id', 'key', 'valid_until').orderBy('id'),
          whitelist: await site.direct('whitelist').select('id', 'info_hash').orderBy('id'),
          torrents: await site.direct('torrents').select('id', 'info_hash', 'completed').orderBy('id'),
        });
        const before = await read();
        await (await site.open()).close();
        assert.deepEqual(await read(), before);
      });
    }

    test("leaves the newer upstream's record of migrations as it is", async (context) => {
      const site = await createSite(context);
      await site.load('newer-upstream');
      const before = await site.direct('_sqlx_migrations').orderBy('version');
      await (await site.open()).close();
      assert.deepEqual(await site.direct('_sqlx_migrations').orderBy('version'), before);
    });
  });
}
