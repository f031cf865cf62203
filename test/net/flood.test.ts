/**
 * What the limits do in a flood, without sockets and on a clock of the test's own, so that no load of the machine decides:
 * whose requests are answered, and what memory the limits take. `make bench-flood` has the same over real sockets.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { PacketMemory } from '../../tracker/protocol/udp.ts';
import type { PeerAddress } from '../../tracker/protocol/model.ts';
import { encodeConnectRequest } from '../../tracker/protocol/udp-client.ts';
import { UdpService } from '../../tracker/net/udp-service.ts';
import { makeTracker } from '../fuzz/in-process-listeners.ts';
import { ipv4Address } from '../support/addresses.ts';
import { announceBytes } from './udp-exchange.ts';

const LIMIT = 100;
const CLIENTS = 50;
const CLIENT_RATE = 20;
const SECONDS = 5;
const START_MILLIS = 1_700_000_000_000;
/** On the clock that nobody sets. */
const START_SECONDS = 1000;
const MAX_GROWN_BYTES = 2 ** 21;

setFlagsFromString('--expose-gc');
// The function that the flag gives to each new global object; it takes nothing and returns nothing.
const collectGarbage = runInNewContext('gc') as () => void;

function openService(context: TestContext) {
  let livedMillis = 0;
  context.mock.timers.enable({ apis: ['Date'], now: START_MILLIS });
  const hrtime = context.mock.method(process, 'hrtime', () => [
    Math.floor(livedMillis / 1000) + START_SECONDS,
    (livedMillis % 1000) * 1e6,
  ]);
  const parts = makeTracker(
    {
      udp_trackers: [{ bind_address: '127.0.0.1:0' }],
      limits: { per_ip: { requests_per_second: LIMIT, burst: LIMIT } },
    },
    2 ** 24,
  );
  const [setup] = parts.setups;
  assert(setup.kind === 'udp');
  const service = new UdpService(setup, parts);
  service.readClock();
  const input = PacketMemory.allocate(128);
  const output = PacketMemory.allocate(2048);
  const ask = (bytes: Uint8Array, source: PeerAddress): boolean => {
    input.bytes.set(bytes);
    return service.answer(input, 0, bytes.length, source, output, 0) > 0;
  };
  const announce = (source: PeerAddress): boolean => {
    parts.ids.issue(source);
    const connectionId = (BigInt(parts.ids.high) << 32n) | (BigInt(parts.ids.low) & 0xffff_ffffn);
    return ask(announceBytes({ connectionId }), source);
  };
  /** Lives through the seconds, a millisecond at a time. */
  const live = (work: (millis: number) => void): void => {
    for (let millis = 1; millis <= 1000 * SECONDS; millis++) {
      livedMillis = millis;
      // What it remembers of its calls would be counted for memory of the tracker.
      hrtime.mock.resetCalls();
      context.mock.timers.setTime(START_MILLIS + millis);
      service.readClock();
      work(millis);
    }
  };
  return { parts, ask, announce, live };
}

function address(number: number): PeerAddress {
  const made = ipv4Address(number);
  made.port = 6881;
  return made;
}

test('a flood from one address at ten times its limit costs the others no reply', (context) => {
  const { announce, ask, live } = openService(context);
  const clients = Array.from({ length: CLIENTS }, (_, i) => address(0x08080000 + i));
  const flooder = address(0x08080800);
  const counts = { asked: 0, answered: 0, flood: 0, floodAnswered: 0 };
  live((millis) => {
    if (millis % (1000 / CLIENT_RATE) === 0) {
      for (const client of clients) {
        counts.asked++;
        if (announce(client)) counts.answered++;
      }
    }
    // One with a valid connection id in each millisecond is ten times the limit.
    counts.flood++;
    if (announce(flooder)) counts.floodAnswered++;
    ask(encodeConnectRequest(1), flooder);
  });
  assert.equal(counts.asked, CLIENTS * CLIENT_RATE * SECONDS);
  assert.equal(counts.answered, counts.asked);
  assert.equal(counts.flood, 10 * LIMIT * SECONDS);
  // The burst, and the limit for each second.
  const most = LIMIT + LIMIT * SECONDS;
  assert.ok(counts.floodAnswered > 0.98 * most && counts.floodAnswered <= most, String(counts.floodAnswered));
});

test('a flood from many addresses takes no memory and costs the others no reply', (context) => {
  const { parts, announce, ask, live } = openService(context);
  const clients = Array.from({ length: CLIENTS }, (_, i) => address(0x08080000 + i));
  for (const client of clients) announce(client);
  const swarms = parts.store.totals();
  const connect = encodeConnectRequest(1);
  const forged = announceBytes({ connectionId: 1n });
  const source = address(0);
  let unanswered = 0;
  let bytesBefore = 0;
  live((millis) => {
    // Ten thousand of them come again and again, with connects and wrong ids, and each second 40,000 others.
    for (let i = 0; i < 60; i++) {
      const isNew = i >= 20;
      const number = isNew ? 0x64800000 + 60 * millis + i : 0x09000000 + ((20 * millis + i) % 10_000);
      source.words[0] = ipv4Address(number).words[0];
      ask(i % 2 === 0 ? connect : forged, source);
    }
    // By now everything is compiled, and has seen the ten thousand.
    if (millis === 1000) bytesBefore = usedBytes();
    if (millis % (1000 / CLIENT_RATE) !== 0) return;
    for (const client of clients) if (!announce(client)) unanswered++;
  });
  assert.equal(unanswered, 0);
  assert.deepEqual(parts.store.totals(), swarms);
  // A map with the 160,000 that came since then would take several times as much.
  const grown = usedBytes() - bytesBefore;
  assert.ok(grown < MAX_GROWN_BYTES, `${grown} bytes`);
});

/** What is in use, on the heap and outside of it, once all that nobody needs is gone. */
function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
