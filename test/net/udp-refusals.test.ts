/** What a UDP tracker does with datagrams that it does not serve: the stated text or silence, one count, no change. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeConnectRequest, encodeScrapeRequest } from '../../tracker/protocol/udp-client.ts';
import { type Counts, forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { announceBytes, newInfoHash, UdpClient, withMarker } from './udp-exchange.ts';

const BAD_ID = 'connection id could not be verified';
const ERROR: Counts = { udp4_requests: 1, udp4_errors_handled: 1, udp4_responses: 1 };
const DISCARDED: Counts = { udp_requests_discarded: 1 };

interface Case {
  /** Makes the datagram; `connectionId` is a good one. */
  readonly datagram: (connectionId: bigint) => Uint8Array;
  /** The error text; null is silence. */
  readonly text: string | null;
  readonly transactionId?: number;
  readonly counts?: Counts;
}

function changed(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.set(values, at);
  return copy;
}

const connect = encodeConnectRequest(77);
const hashes = (count: number) => Array.from({ length: count }, newInfoHash);

const CASES: Record<string, Case> = {
  'an empty datagram': { datagram: () => new Uint8Array(0), text: null, counts: DISCARDED },
  'eleven bytes': { datagram: () => connect.subarray(0, 11), text: null, counts: DISCARDED },
  'a connect that is cut by a byte': {
    datagram: () => connect.subarray(0, 15),
    text: null,
    counts: DISCARDED,
  },
  'a connect with another protocol id': {
    datagram: () => changed(connect, 7, 0x81),
    // Sixteen bytes may be answered by sixteen.
    text: 'bad requ',
  },
  'a connect with the protocol id of zero': {
    datagram: () => changed(connect, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    text: 'bad requ',
  },
  'an action that does not exist': { datagram: () => changed(connect, 11, 4), text: 'bad requ' },
  'an action below zero': { datagram: () => changed(connect, 8, 0xff), text: 'bad requ' },
  'an error packet': { datagram: () => changed(connect, 11, 3), text: 'bad requ' },
  'a long packet of an unknown action': {
    datagram: (connectionId) => changed(announceBytes({ connectionId }), 11, 9),
    text: 'bad request: Invalid action',
  },
  'an announce that is cut by a byte': {
    datagram: (connectionId) => announceBytes({ connectionId }).subarray(0, 97),
    text: 'bad request: invalid data',
  },
  'an announce of a head alone': {
    datagram: (connectionId) => announceBytes({ connectionId }).subarray(0, 16),
    text: 'bad requ',
  },
  'an announce with port 0': {
    datagram: (connectionId) => announceBytes({ connectionId, port: 0 }),
    text: "bad request: Port can't be 0",
  },
  'an announce with event 5': {
    datagram: (connectionId) => changed(announceBytes({ connectionId }), 80, 0, 0, 0, 5),
    text: 'bad request: Invalid announce event',
  },
  'an announce with an event below zero': {
    datagram: (connectionId) => changed(announceBytes({ connectionId }), 80, 0xff, 0xff, 0xff, 0xff),
    text: 'bad request: Invalid announce event',
  },
  'a scrape without an info hash': {
    datagram: (connectionId) => encodeScrapeRequest(connectionId, 77, hashes(1)).subarray(0, 16),
    text: 'bad requ',
  },
  'a scrape with half an info hash': {
    datagram: (connectionId) => encodeScrapeRequest(connectionId, 77, hashes(1)).subarray(0, 26),
    text: 'bad request: Inval',
  },
  'a scrape with two and a half info hashes': {
    datagram: (connectionId) => encodeScrapeRequest(connectionId, 77, hashes(3)).subarray(0, 66),
    text: 'bad request: Invalid info hash list',
  },
  'an announce with a connection id of zero': {
    datagram: () => announceBytes({ connectionId: 0n }),
    text: BAD_ID,
    counts: { ...ERROR, connection_id_forged: 1 },
  },
  'an announce with the protocol id for a connection id': {
    datagram: () => announceBytes({ connectionId: 0x41727101980n }),
    text: BAD_ID,
    counts: { ...ERROR, connection_id_forged: 1 },
  },
  'an announce whose connection id has one wrong bit in its MAC': {
    datagram: (connectionId) => announceBytes({ connectionId: connectionId ^ 1n }),
    text: BAD_ID,
    // The slot and its tag are authentic, so it looks like an id that somebody else was given.
    counts: { ...ERROR, connection_id_other_address: 1 },
  },
  'a scrape with a wrong connection id': {
    datagram: () => encodeScrapeRequest(-1n, 77, hashes(1)),
    // 36 bytes are asked, so 36 may be answered.
    text: BAD_ID.slice(0, 28),
    counts: { ...ERROR, connection_id_forged: 1 },
  },
  'a transaction id below zero': {
    datagram: () => announceBytes({ connectionId: 0n, transactionId: -5 }),
    text: BAD_ID,
    transactionId: -5,
    counts: { ...ERROR, connection_id_forged: 1 },
  },
};

forEachSocketPath((sockets) => {
  describe(`A datagram that is no good request, over ${sockets} sockets:`, () => {
    const suite = threadsOfSuite(sockets, { udp: [{}] });

    for (const [title, { datagram, text, transactionId = 77, counts = ERROR }] of Object.entries(CASES)) {
      test(title, async (context) => {
        const { threads } = suite;
        const client = await UdpClient.open(context, threads.udp[0]);
        const bytes = datagram(await client.connect());
        const before = threads.swarms();
        const replies = await threads.expectCounts(withMarker(counts), () => client.exchange(bytes));
        if (text === null) assert.deepEqual(replies, []);
        else assert.deepEqual(replies.map(readError), [{ transactionId, text }]);
        for (const reply of replies) assert.ok(reply.length <= bytes.length);
        assert.deepEqual(threads.swarms(), before);
      });
    }

    test('every length from nothing to an announce, of random bytes behind each action', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const before = suite.threads.swarms();
      for (const action of [0, 1, 2, 3]) {
        const whole = Buffer.from(changed(Buffer.alloc(120, newInfoHash()), 8, 0, 0, 0, action));
        for (let first = 0; first <= 120; first += 11) {
          const lengths = Array.from({ length: 11 }, (_, index) => first + index);
          const replies = await client.exchange(...lengths.map((length) => whole.subarray(0, length)));
          const answered = lengths.filter((length) => length >= 16).length;
          assert.deepEqual(
            replies.map((reply) => [reply.readInt32BE(0), reply.readInt32BE(4)]),
            Array.from({ length: answered }, () => [3, whole.readInt32BE(12)]),
          );
        }
      }
      assert.deepEqual(suite.threads.swarms(), before);
    });
  });
});

function readError(reply: Buffer): { transactionId: number; text: string } {
  assert.equal(reply.readInt32BE(0), 3);
  return { transactionId: reply.readInt32BE(4), text: reply.toString('latin1', 8) };
}
