/**
 * A collector that is down, refuses, is slow or never answers: clients of the tracker do not notice, spans wait in a queue
 * that is full and no fuller, and those that found no room are counted.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { announce } from '../net/http-exchange.ts';
import { newInfoHash, UdpClient } from '../net/udp-exchange.ts';
import type { Cleaner, TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { scrape } from './exposition.ts';
import { type Manner, openOtlpReceiver } from './otlp-receiver.ts';
import { startTraced } from './traced-tracker.ts';

const QUEUE_SPANS = 64;
const REQUESTS = 400;
/** So much worse may the slowest requests get on a machine that does other things as well. A collector takes seconds. */
const TIMES = 20;
const MORE_MILLIS = 250;
/** Spans wait for a minute for the collector, as the SDK would by default for ten seconds; and few of them do. */
const ENVIRONMENT = {
  OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
  OTEL_BSP_EXPORT_TIMEOUT: '60000',
  OTEL_BSP_MAX_QUEUE_SIZE: String(QUEUE_SPANS),
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '32',
};
const TROUBLES: Readonly<Record<string, Manner | 'down'>> = {
  'is not there': 'down',
  'refuses everything': 'refuses',
  'answers after seconds': 'is slow',
  'takes connections and never answers': 'is silent',
};

/** Asks over HTTP and UDP in turn; each request has to be answered. Returns the 99th percentile in milliseconds. */
async function load(context: Cleaner, tracker: TrackerProcess): Promise<number> {
  const client = await UdpClient.open(context, tracker.udp[0]);
  const millis: number[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    for (const ask of [
      () => announce(tracker.http[0], newInfoHash()),
      () => client.announce(newInfoHash()),
    ]) {
      const beganMillis = performance.now();
      await ask();
      millis.push(performance.now() - beganMillis);
    }
  }
  return millis.toSorted((one, other) => one - other)[Math.floor(millis.length * 0.99)];
}

describe('Nobody notices a collector that', () => {
  let usualMillis = 0;
  const cleaners: (() => void)[] = [];
  before(async () => {
    const context = { after: (cleaner: () => void) => cleaners.push(cleaner) };
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver, {}, ENVIRONMENT);
    usualMillis = await load(context, tracker);
    await tracker.stop();
  });
  after(() => cleaners.toReversed().forEach((clean) => clean()));

  for (const [title, manner] of Object.entries(TROUBLES)) {
    test(title, async (context) => {
      const receiver = await openOtlpReceiver(context, manner === 'down' ? 'takes' : manner);
      // Port 9 is "discard", which nobody serves.
      const url = manner === 'down' ? 'http://127.0.0.1:9' : receiver.url;
      const tracker = await startTraced(context, { url }, {}, ENVIRONMENT);
      const millis = await load(context, tracker);
      assert.ok(
        millis < TIMES * usualMillis + MORE_MILLIS,
        `the 99th percentile was ${millis} ms, with a good collector ${usualMillis} ms`,
      );
      if (manner !== 'down') await waitFor('something sent', () => receiver.requests() > 0);
      await waitFor('a full queue, and spans that found no room', async () => {
        await announce(tracker.http[0], newInfoHash());
        const exposition = await scrape(tracker.metrics);
        assert.equal(exposition.value('torrust_tracker_spans_waiting_limit'), QUEUE_SPANS);
        const waiting = exposition.value('torrust_tracker_spans_waiting');
        assert.ok(waiting <= QUEUE_SPANS, `${waiting} spans wait`);
        const lost = exposition.value('torrust_tracker_spans_total', { outcome: 'queue_full' });
        return waiting === QUEUE_SPANS && lost > 0;
      });
      const exposition = await waitFor('every reply to be counted', async () => {
        const found = await scrape(tracker.metrics);
        const replies = found.sum('torrust_tracker_replies_sent_total');
        return replies === found.sum('torrust_tracker_requests_total') && found;
      });
      const served = exposition.sum('torrust_tracker_requests_total', { outcome: 'ok', kind: 'announce' });
      assert.ok(served >= 2 * REQUESTS);
      assert.equal((await fetch(`${tracker.health}/readyz`)).status, 200);
      const beganMillis = performance.now();
      assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
      const tookMillis = performance.now() - beganMillis;
      assert.ok(tookMillis < 15_000, `it took ${tookMillis} ms to stop`);
      assert.equal(tracker.stderr(), '');
      const lines = tracker.log().filter(({ level }) => level !== 'info');
      assert.ok(lines.length < 5 && lines.every(({ level }) => level === 'warn'), JSON.stringify(lines));
    });
  }
});
