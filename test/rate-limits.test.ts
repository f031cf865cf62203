/** Token buckets against a model, between threads, and under floods from many addresses. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { bucketSize, BucketTable, TICKS_PER_SECOND } from '../tracker/bucket-table.ts';
import { RateLimit, RateLimits, type RateSettings } from '../tracker/rate-limits.ts';
import { addressOf, ipv4Address } from './support/addresses.ts';

const NO_LIMITS: RateSettings = { perAddress: null, perNetwork: null, overall: null };
/** Some moment, not near to where the clock of ticks wraps. */
const START_SECONDS = 1_700_000_000;

function limitsOf(settings: Partial<RateSettings>): RateLimits {
  const limits = RateLimits.create();
  limits.configure({ ...NO_LIMITS, ...settings });
  limits.readClock(START_SECONDS);
  return limits;
}

/** How many of so many requests at once are admitted. */
function admitted(limits: RateLimits, text: string, requests: number, isProven = true): number {
  const address = addressOf(text);
  let count = 0;
  for (let i = 0; i < requests; i++) if (limits.take(address, isProven) === RateLimit.none) count++;
  return count;
}

describe('A table of buckets', () => {
  test('does what a counter of tokens for each client does', () => {
    const rate = fc.record({
      perSecond: fc.integer({ min: 1, max: 50_000 }),
      burst: fc.integer({ min: 1, max: 300 }),
    });
    const ticks = fc.oneof(
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: TICKS_PER_SECOND }),
      fc.integer({ min: 0, max: 1800 * TICKS_PER_SECOND }),
    );
    const request = fc.record({ client: fc.integer({ min: 0, max: 5 }), later: ticks });
    fc.assert(
      fc.property(rate, fc.integer(), fc.array(request, { maxLength: 400 }), (asked, start, requests) => {
        // Buckets may hold no more than ten minutes' worth.
        const burst = Math.min(asked.burst, 600 * asked.perSecond);
        const size = bucketSize(asked.perSecond, burst);
        const table = BucketTable.create(0);
        const full = burst * size.increment;
        const levels = new Map<number, { level: number; at: number }>();
        let now = start;
        for (const { client, later } of requests) {
          now += later;
          const before = levels.get(client);
          const level = before === undefined ? full : Math.min(full, before.level + now - before.at);
          const isAdmitted = level >= size.increment;
          levels.set(client, { level: isAdmitted ? level - size.increment : level, at: now });
          const wait = table.take(0, client + 1, now | 0, size);
          assert.equal(wait, isAdmitted ? 0 : size.increment - level);
        }
      }),
    );
  });

  test('never admits more from a client, in any time, than its bucket and the rate give', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: TICKS_PER_SECOND / 4 }), { maxLength: 300 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 50 }),
        gaps,
        (rate, burst, all) => {
          const size = bucketSize(rate, burst);
          const table = BucketTable.create(0);
          const times: number[] = [];
          let now = 0;
          for (const gap of all) {
            now += gap;
            if (table.take(0, 7, now, size) === 0) times.push(now);
          }
          for (const [index, time] of times.entries()) {
            for (let later = index; later < times.length; later++) {
              const most = burst + (times[later] - time) / size.increment;
              assert.ok(later - index + 1 <= most);
            }
          }
        },
      ),
    );
  });

  test('gives a new client the place of the fullest bucket', () => {
    const table = BucketTable.create(0);
    const size = bucketSize(1, 3);
    for (let client = 1; client <= 8; client++) {
      for (let i = 0; i < (client === 4 ? 1 : 3); i++) assert.equal(table.take(0, client, 0, size), 0);
    }
    assert.equal(table.take(0, 100, 0, size), 0);
    assert.notEqual(table.take(0, 1, 0, size), 0);
    // Client 4 is forgotten, and has a full bucket again.
    for (let i = 0; i < 3; i++) assert.equal(table.take(0, 4, 0, size), 0);
  });

  test('is full again for a client that was silent for long, though the clock wraps meanwhile', () => {
    const size = bucketSize(10, 10);
    const wrapSeconds = 2 ** 32 / TICKS_PER_SECOND;
    for (let minutes = 1; minutes < 24 * 60; minutes++) {
      if ((minutes * 60) % wrapSeconds === 0) continue;
      const table = BucketTable.create(0);
      for (let i = 0; i < 12; i++) table.take(0, 1, 0, size);
      assert.equal(table.take(0, 1, (minutes * 60 * TICKS_PER_SECOND) | 0, size), 0, `${minutes} minutes`);
    }
  });
});

describe('Limits of rates', () => {
  test('let every request pass while there are none', () => {
    const limits = limitsOf({});
    assert.equal(limits.isOn, false);
    assert.equal(admitted(limits, '203.0.113.1', 10_000), 10_000);
  });

  test('hold for each address by itself, and say which limit and how long to wait', () => {
    const limits = limitsOf({ perAddress: { perSecond: 2, burst: 6 } });
    assert.equal(limits.isOn, true);
    assert.equal(admitted(limits, '203.0.113.1', 20), 6);
    assert.equal(admitted(limits, '203.0.113.2', 20), 6);
    assert.equal(admitted(limits, '2001:db8::1', 20), 6);
    assert.equal(admitted(limits, '2001:db8::2', 20), 6);
    assert.equal(limits.take(addressOf('203.0.113.1'), true), RateLimit.address);
    assert.ok(Math.abs(limits.waitSeconds - 0.5) < 0.01, String(limits.waitSeconds));
    limits.readClock(START_SECONDS + 2);
    assert.equal(admitted(limits, '203.0.113.1', 20), 4);
  });

  test('hold for a /24 and a /64 as for one client', () => {
    const limits = limitsOf({ perNetwork: { perSecond: 1, burst: 5 } });
    assert.equal(admitted(limits, '203.0.113.1', 3), 3);
    assert.equal(admitted(limits, '203.0.113.255', 9), 2);
    assert.equal(limits.take(addressOf('203.0.113.77'), true), RateLimit.network);
    assert.equal(admitted(limits, '203.0.114.1', 9), 5);
    assert.equal(admitted(limits, '2001:db8::1', 3), 3);
    assert.equal(admitted(limits, '2001:db8:0:0:ffff::1', 9), 2);
    assert.equal(admitted(limits, '2001:db8:0:1::1', 9), 5);
  });

  test('hold for all together', () => {
    const limits = limitsOf({ overall: { perSecond: 10, burst: 50 } });
    let count = 0;
    for (let i = 0; i < 200; i++) {
      if (limits.take(ipv4Address(0x08000000 + i * 1000), true) === RateLimit.none) count++;
    }
    assert.equal(count, 50);
    assert.equal(limits.take(addressOf('203.0.113.1'), true), RateLimit.overall);
  });

  test('measure high rates for all together within two percent', () => {
    for (const perSecond of [1_000, 16_384, 20_000, 1_000_000, 10_000_000]) {
      const limits = limitsOf({ overall: { perSecond, burst: perSecond } });
      const address = addressOf('203.0.113.1');
      while (limits.take(address, true) === RateLimit.none);
      let count = 0;
      for (let millis = 1; millis <= 200; millis++) {
        limits.readClock(START_SECONDS + millis / 1000);
        while (limits.take(address, true) === RateLimit.none) count++;
      }
      const ratio = count / (perSecond / 5);
      assert.ok(ratio > 0.98 && ratio < 1.02, `${perSecond}: ${ratio}`);
    }
  });

  test('count apart what proves nothing, so that a forged address takes nothing from its owner', () => {
    const rate = { perSecond: 1, burst: 10 };
    const limits = limitsOf({ perAddress: rate, perNetwork: rate, overall: rate });
    assert.equal(admitted(limits, '203.0.113.1', 1000, false), 10);
    assert.equal(admitted(limits, '203.0.113.1', 1000, true), 10);
  });

  test('change while buckets are in use', () => {
    const limits = limitsOf({ perAddress: { perSecond: 1, burst: 100 } });
    admitted(limits, '203.0.113.1', 100);
    limits.configure({ ...NO_LIMITS, perAddress: { perSecond: 10, burst: 10 } });
    limits.readClock(START_SECONDS + 10);
    assert.equal(admitted(limits, '203.0.113.1', 100), 10);
    limits.configure(NO_LIMITS);
    assert.equal(admitted(limits, '203.0.113.1', 100), 100);
  });

  test('are kept by all threads together, to the request while a bucket is less than half full', async () => {
    const limits = limitsOf({});
    const work = `
      const { parentPort, workerData } = require('node:worker_threads');
      (async () => {
        const { RateLimits, RateLimit } = await import(workerData.limits);
        const { PeerAddress } = await import(workerData.model);
        const limits = RateLimits.attach(workerData.memory);
        limits.configure({ perAddress: { perSecond: 1000, burst: 50_000 }, perNetwork: null, overall: null });
        limits.readClock(${START_SECONDS});
        const address = new PeerAddress();
        address.bytes.set([203, 0, 113, 1]);
        parentPort.postMessage('ready');
        parentPort.on('message', (seconds) => {
          limits.readClock(seconds);
          let count = 0;
          for (let i = 0; i < 200_000; i++) if (limits.take(address, true) === RateLimit.none) count++;
          parentPort.postMessage(count);
        });
      })();`;
    const urlOf = (path: string) => new URL(path, import.meta.url).href;
    const workerData = {
      memory: limits.memory,
      limits: urlOf('../tracker/rate-limits.ts'),
      model: urlOf('../tracker/protocol/model.ts'),
    };
    const workers = Array.from({ length: 2 }, () => new Worker(work, { eval: true, workerData }));
    try {
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      const takeAt = async (seconds: number): Promise<number> => {
        const counts = workers.map((worker) => once(worker, 'message'));
        for (const worker of workers) worker.postMessage(seconds);
        return (await Promise.all(counts)).reduce((total, [count]) => total + Number(count), 0);
      };
      assert.ok((await takeAt(START_SECONDS)) >= 50_000);
      for (let round = 1; round <= 10; round++) {
        // Ten seconds' worth, in whole ticks for each.
        const count = await takeAt(START_SECONDS + 10 * round);
        assert.ok(count === 9_995 || count === 9_996, String(count));
      }
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
  });

  test('hold a flooder, and nobody else, while a million addresses come and go', () => {
    const limits = limitsOf({ perAddress: { perSecond: 10, burst: 20 } });
    const bytes = limits.memory.addresses.byteLength;
    const flooder = addressOf('2001:db8::bad');
    let floods = 0;
    let wronged = 0;
    const seconds = 10;
    for (let i = 0; i < 1_000_000; i++) {
      limits.readClock(START_SECONDS + (i * seconds) / 1_000_000);
      if (limits.take(ipv4Address(0x08000000 + i), true) !== RateLimit.none) wronged++;
      if (i % 1000 === 0 && limits.take(flooder, true) === RateLimit.none) floods++;
    }
    assert.equal(wronged, 0);
    // A thousand requests at ten times the limit.
    assert.ok(floods >= 118 && floods <= 121, String(floods));
    assert.equal(limits.memory.addresses.byteLength, bytes);
  });
});
