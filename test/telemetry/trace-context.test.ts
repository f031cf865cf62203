/**
 * Traces of callers, by the rules of W3C Trace Context (https://www.w3.org/TR/trace-context/): which go on, which begin
 * anew, and which are not kept.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { announceTarget, get } from '../net/http-exchange.ts';
import { SOCKET_PATHS } from '../net/tracker-threads.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import { TOKEN } from '../reload/live-tracker.ts';
import type { TrackerProcess } from '../support/tracker-process.ts';
import { openOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from './otlp-receiver.ts';
import { newTrace, startTraced } from './traced-tracker.ts';

interface Case {
  readonly traceparent: string | string[];
  readonly tracestate?: string | string[];
  /** What becomes of it: it goes on, with this `tracestate`; another begins; nothing is kept. */
  readonly becomes: { readonly tracestate: string } | 'another' | 'nothing';
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const GOOD = `00-${TRACE}-${PARENT}-01`;
const LONG = Array.from({ length: 16 }, (_, i) => `vendor${i}=${'x'.repeat(40)}`).join(',');

const CASES: Readonly<Record<string, Case>> = {
  'goes on': { traceparent: GOOD, becomes: { tracestate: '' } },
  'goes on with its tracestate': {
    traceparent: GOOD,
    tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
    becomes: { tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7' },
  },
  'goes on with a tracestate of several lines': {
    traceparent: GOOD,
    tracestate: ['congo=t61rcWkgMzE', 'rojo=00f067aa0ba902b7'],
    becomes: { tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7' },
  },
  'goes on without a tracestate that is none': {
    traceparent: GOOD,
    tracestate: 'Not A State!',
    becomes: { tracestate: '' },
  },
  'goes on when its flags tell of more': {
    traceparent: GOOD.replace(/01$/, '03'),
    becomes: { tracestate: '' },
  },
  'goes on when its version is a later one': {
    traceparent: `cc-${TRACE}-${PARENT}-01-what-will-be-there-one-day`,
    becomes: { tracestate: '' },
  },
  'is not kept when its caller does not keep it': {
    traceparent: GOOD.replace(/01$/, '00'),
    becomes: 'nothing',
  },
  'is not kept when other flags are set alone': {
    traceparent: GOOD.replace(/01$/, '02'),
    becomes: 'nothing',
  },
  'is another when the version is one that there is not': {
    traceparent: `ff-${TRACE}-${PARENT}-01`,
    becomes: 'another',
  },
  'is another when there is more than the version has': { traceparent: `${GOOD}-more`, becomes: 'another' },
  'is another when the id of the trace is zero': {
    traceparent: `00-${'0'.repeat(32)}-${PARENT}-01`,
    becomes: 'another',
  },
  'is another when the id of the parent is zero': {
    traceparent: `00-${TRACE}-${'0'.repeat(16)}-01`,
    becomes: 'another',
  },
  'is another when an id is too short': {
    traceparent: `00-${TRACE.slice(1)}-${PARENT}-01`,
    becomes: 'another',
  },
  'is another when ids are in capitals': { traceparent: GOOD.toUpperCase(), becomes: 'another' },
  'is another when there are no flags': { traceparent: GOOD.slice(0, -3), becomes: 'another' },
  'is another when it is told twice': { traceparent: [GOOD, GOOD], becomes: 'another' },
  'is another when it is empty, whatever state comes with it': {
    traceparent: '',
    tracestate: 'congo=t61rcWkgMzE',
    becomes: 'another',
  },
};

/** How a tracker is asked, with these headers, for a span of this name. */
interface Way {
  readonly name: string;
  ask(tracker: TrackerProcess, headers: Record<string, string | string[]>): Promise<{ status: number }>;
}

const ANNOUNCE: Way = {
  name: 'GET /announce',
  ask: ({ http: [address] }, headers) => get(address, announceTarget(newInfoHash()), { headers }),
};
const API: Way = {
  name: 'GET /api/v1/stats',
  ask: ({ api }, headers) => {
    const { hostname, port } = new URL(api);
    const address = { host: hostname, port: Number(port), family: 4 } as const;
    return get(address, `/api/v1/stats?token=${TOKEN}`, { headers });
  },
};

/** The span of each case in their order, and null for a case without one. A trace of our own after each tells where it ends. */
async function spansOf(
  tracker: TrackerProcess,
  receiver: OtlpReceiver,
  way: Way,
): Promise<(ReceivedSpan | null)[]> {
  const ends: string[] = [];
  for (const { traceparent, tracestate } of Object.values(CASES)) {
    const end = newTrace();
    ends.push(end.traceId);
    const headers = { traceparent, ...(tracestate !== undefined && { tracestate }) };
    for (const each of [headers, { traceparent: end.header }]) {
      assert.equal((await way.ask(tracker, each)).status, 200);
    }
  }
  await receiver.span('the last', ({ traceId }) => traceId === ends.at(-1));
  const spans = receiver.spans.filter(({ name }) => name === way.name);
  return ends.map((end, index) => {
    const begin = index === 0 ? 0 : 1 + spans.findIndex(({ traceId }) => traceId === ends[index - 1]);
    const found = spans.slice(
      begin,
      spans.findIndex(({ traceId }) => traceId === end),
    );
    assert.ok(found.length <= 1, 'a request has one span');
    return found[0] ?? null;
  });
}

function check({ becomes }: Case, span: ReceivedSpan | null, title: string): void {
  if (becomes === 'nothing') {
    assert.equal(span, null, title);
    return;
  }
  assert.ok(span !== null, `${title}: a span`);
  if (becomes === 'another') {
    assert.notEqual(span.traceId, TRACE, title);
    assert.deepEqual([span.parentId, span.traceState], ['', ''], title);
  } else {
    assert.deepEqual(
      [span.traceId, span.parentId, span.traceState],
      [TRACE, PARENT, becomes.tracestate],
      title,
    );
  }
}

describe("A caller's trace", () => {
  for (const sockets of SOCKET_PATHS) {
    test(`of an announce goes on, begins anew or is not kept, with ${sockets} sockets`, async (context) => {
      const receiver = await openOtlpReceiver(context);
      const tracker = await startTraced(context, receiver, { network: { sockets, workers: 1 } });
      const spans = await spansOf(tracker, receiver, ANNOUNCE);
      Object.entries(CASES).forEach(([title, each], index) => check(each, spans[index], title));
      // It may be dropped when it is longer than 512 characters, and a network thread keeps no more.
      await ANNOUNCE.ask(tracker, { traceparent: GOOD, tracestate: `${LONG},one=1` });
      const end = newTrace();
      await ANNOUNCE.ask(tracker, { traceparent: end.header });
      await receiver.span('the end', ({ traceId }) => traceId === end.traceId);
      assert.equal(receiver.spans.at(-2)?.traceState, '');
    });
  }

  test('of a request to the REST API goes on, begins anew or is not kept', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver);
    const spans = await spansOf(tracker, receiver, API);
    Object.entries(CASES).forEach(([title, each], index) => check(each, spans[index], title));
  });

  test('goes on with its tracestate to those whom the tracker asks', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver);
    const trace = newTrace();
    const headers = { traceparent: trace.header, tracestate: 'congo=t61rcWkgMzE' };
    await (await fetch(`${tracker.health}/health_check`, { headers })).text();
    const asked = await receiver.span('the API', ({ name }) => name === 'GET /api/health_check');
    assert.deepEqual([asked.traceId, asked.traceState], [trace.traceId, 'congo=t61rcWkgMzE']);
  });
});
