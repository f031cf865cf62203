/** The ring by which a network thread tells of requests: what is written comes out, and what finds no room is counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  attachTraceRings,
  createTraceRings,
  RING_RECORDS,
  type RequestRecord,
  TraceRing,
  type TracedRequest,
} from '../../tracker/net/trace-ring.ts';
import { RefusalReason, RequestKind } from '../../tracker/swarm/refusals.ts';
import { waitFor } from '../support/waiting.ts';

const RECORD: RequestRecord = {
  protocol: 'http',
  kind: RequestKind.scrape,
  family: 6,
  refusal: RefusalReason.notListed,
  startMillis: 1_700_000_000_000.25,
  durationMillis: 0.125,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'congo=t61rcWkgMzE',
};

function readAll(ring: TraceRing): TracedRequest[] {
  const requests: TracedRequest[] = [];
  ring.read((request) => requests.push(request));
  return requests;
}

test('hands on what was written, once, in its order', () => {
  const [, ring] = attachTraceRings(createTraceRings(2));
  ring.write(RECORD);
  ring.write({
    ...RECORD,
    protocol: 'udp',
    kind: RequestKind.connect,
    family: 4,
    refusal: null,
    traceparent: '',
  });
  const { refusal: _, ...facts } = RECORD;
  assert.deepEqual(readAll(ring), [
    { ...facts, kind: 'scrape', outcome: 'not_listed' },
    { ...facts, protocol: 'udp', kind: 'connect', family: 4, outcome: 'ok', traceparent: '' },
  ]);
  assert.deepEqual(readAll(ring), []);
});

test('keeps nothing of the record that was in the same place before', () => {
  const ring = new TraceRing(createTraceRings(1), 0);
  for (let round = 0; round < 3 * RING_RECORDS; round++) {
    const isLong = round % 3 === 0;
    const tracestate = isLong ? `a=${'x'.repeat(510)}` : '';
    ring.write({
      ...RECORD,
      durationMillis: round,
      tracestate,
      traceparent: isLong ? RECORD.traceparent : '',
    });
    const [read] = readAll(ring);
    assert.deepEqual([read.durationMillis, read.tracestate], [round, tracestate]);
  }
  assert.equal(ring.lost, 0);
});

test('drops a tracestate that is longer than it has to be kept, and the end of a longer traceparent', () => {
  const ring = new TraceRing(createTraceRings(1), 0);
  ring.write({
    ...RECORD,
    tracestate: 'x'.repeat(513),
    traceparent: `${RECORD.traceparent}-${'y'.repeat(100)}`,
  });
  const [read] = readAll(ring);
  assert.deepEqual([read.tracestate, read.traceparent.length], ['', 64]);
});

test('counts what finds it full, and takes on when it was read', () => {
  const [ring, other] = attachTraceRings(createTraceRings(2));
  for (let i = 0; i < RING_RECORDS + 5; i++) ring.write({ ...RECORD, durationMillis: i });
  assert.deepEqual([ring.lost, other.lost], [5, 0]);
  assert.deepEqual(
    readAll(ring).map(({ durationMillis }) => durationMillis),
    Array.from({ length: RING_RECORDS }, (_, i) => i),
  );
  assert.deepEqual(readAll(other), []);
  ring.write(RECORD);
  assert.equal(readAll(ring).length, 1);
});

test('tears no record while another thread writes as fast as it can', async (context) => {
  const memory = createTraceRings(1);
  const source = `
    const { workerData } = require('node:worker_threads');
    (async () => {
      const { TraceRing } = await import(workerData.module);
      const ring = new TraceRing(workerData.memory, 0);
      const { record, count } = workerData;
      for (let i = 1; i <= count; i++) {
        const text = String(i % 10).repeat(i % 500);
        ring.write({ ...record, startMillis: i, durationMillis: i, tracestate: text });
      }
    })();`;
  const count = 200_000;
  const module = new URL('../../tracker/net/trace-ring.ts', import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: { memory, record: RECORD, count, module } });
  context.after(() => worker.terminate());
  const ring = new TraceRing(memory, 0);
  let last = 0;
  let read = 0;
  await waitFor('all that was written', () => {
    ring.read(({ startMillis, durationMillis, tracestate }) => {
      assert.ok(startMillis > last, 'in their order');
      last = startMillis;
      read++;
      assert.equal(durationMillis, startMillis);
      assert.equal(tracestate, String(startMillis % 10).repeat(startMillis % 500));
    });
    return read + ring.lost === count;
  });
  assert.ok(read >= RING_RECORDS);
});
