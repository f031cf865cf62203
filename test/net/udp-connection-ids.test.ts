/** Which connection ids a UDP tracker takes in each mode of validation, and how much it says to those without one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { encodeScrapeRequest } from '../../tracker/protocol/udp-client.ts';
import {
  type Counts,
  forEachSocketPath,
  type Policies,
  threadsOfSuite,
  type TrackerThreads,
} from './tracker-threads.ts';
import { announceBytes, newInfoHash, peerId, UdpClient } from './udp-exchange.ts';

const BAD_ID = 'connection id could not be verified';
const EXPIRED: Counts = { connection_id_expired: 1 };
const FORGED: Counts = { connection_id_forged: 1 };
const OTHER_ADDRESS: Counts = { connection_id_other_address: 1 };

type Validation = 'strict' | 'lenient' | 'disabled';

/** One listener for each. */
const LIFETIMES_SECONDS = [120, 600, 10] as const;

interface Case {
  readonly validation: Validation;
  readonly lifetimeSeconds?: (typeof LIFETIMES_SECONDS)[number];
  /** How long ago the id was given; below zero: by a tracker whose clock is ahead. */
  readonly ageSeconds: number;
  readonly accepted: boolean;
  readonly counts?: Counts;
}

/** Ages keep two slots away from each limit, so that a slow machine changes nothing. */
const AGES: Record<string, Case> = {
  'a fresh one': { validation: 'strict', ageSeconds: 0, accepted: true },
  'one of almost two minutes': { validation: 'strict', ageSeconds: 110, accepted: true },
  'one of more than two minutes': {
    validation: 'strict',
    ageSeconds: 126,
    accepted: false,
    counts: EXPIRED,
  },
  'one within a longer lifetime': {
    validation: 'strict',
    lifetimeSeconds: 600,
    ageSeconds: 590,
    accepted: true,
  },
  'one beyond a shorter lifetime': {
    validation: 'strict',
    lifetimeSeconds: 10,
    ageSeconds: 16,
    accepted: false,
    counts: EXPIRED,
  },
  'one of two days ago, whose slot number looks recent': {
    validation: 'strict',
    ageSeconds: 2 * 65_536,
    accepted: false,
    counts: FORGED,
  },
  'one of a minute in the future': {
    validation: 'strict',
    ageSeconds: -60,
    accepted: false,
    counts: FORGED,
  },
  'an expired one of less than half an hour, when lenient': {
    validation: 'lenient',
    ageSeconds: 1780,
    accepted: true,
    counts: EXPIRED,
  },
  'one of more than half an hour, when lenient': {
    validation: 'lenient',
    ageSeconds: 1810,
    accepted: false,
    counts: EXPIRED,
  },
  'one of the future, when lenient': {
    validation: 'lenient',
    ageSeconds: -60,
    accepted: false,
    counts: FORGED,
  },
  'an expired one, when disabled': {
    validation: 'disabled',
    ageSeconds: 5000,
    accepted: true,
    counts: EXPIRED,
  },
};

forEachSocketPath((sockets) => {
  describe(`A connection id over ${sockets} sockets:`, () => {
    const suite = threadsOfSuite(sockets, {
      udp: LIFETIMES_SECONDS.map((seconds) => ({ cookie_lifetime: seconds })),
    });

    for (const [title, row] of Object.entries(AGES)) {
      const { validation, lifetimeSeconds = 120, ageSeconds, accepted, counts = {} } = row;
      test(`${title} is ${accepted ? 'accepted' : 'refused'}`, async (context) => {
        const { threads } = suite;
        validate(threads, validation);
        const address = threads.udp[LIFETIMES_SECONDS.indexOf(lifetimeSeconds)];
        const client = await UdpClient.open(context, address);
        const connectionId = idOf(threads, client, ageSeconds);
        const expected = {
          udp4_requests: 1,
          udp4_responses: 1,
          ...(accepted ? { udp4_announces_handled: 1 } : { udp4_errors_handled: 1 }),
          ...counts,
        };
        const infoHash = newInfoHash();
        const reply = await threads.expectCounts(expected, () =>
          client.tryAnnounce(infoHash, { connectionId }),
        );
        if (accepted) assert.equal(reply.kind, 'announce');
        else assert.equal(reply.kind === 'error' && reply.message, BAD_ID);
        assert.equal(threads.store.peersOf(infoHash.toString('hex')).length, accepted ? 1 : 0);
      });
    }

    for (const validation of ['strict', 'lenient'] as const) {
      test(`that of another port or address is refused, ${validation}`, async (context) => {
        const { threads } = suite;
        validate(threads, validation);
        const client = await UdpClient.open(context, threads.udp[0]);
        const connectionId = await client.connect();
        const otherPort = await UdpClient.open(context, threads.udp[0]);
        const otherAddress = await UdpClient.open(
          context,
          threads.udp[0],
          '127.0.0.2',
          '127.0.0.1',
          client.port,
        );
        for (const other of [otherPort, otherAddress]) {
          const reply = await threads.expectCounts(
            { udp4_requests: 1, udp4_responses: 1, udp4_errors_handled: 1, ...OTHER_ADDRESS },
            () => other.tryAnnounce(newInfoHash(), { connectionId }),
          );
          assert.equal(reply.kind === 'error' && reply.message, BAD_ID);
        }
        assert.equal((await client.tryAnnounce(newInfoHash(), { connectionId })).kind, 'announce');
      });
    }

    describe('without a good one, and with validation disabled,', () => {
      test('the list of peers is cut so that the reply is not larger than the request', async (context) => {
        const { threads } = suite;
        validate(threads, 'disabled');
        const client = await UdpClient.open(context, threads.udp[0]);
        const infoHash = await fillSwarm(client, 50);
        for (const numWant of [-1, 0, 50, 1000]) {
          for (const padding of [0, 5, 60]) {
            const request = Buffer.concat([
              announceBytes({ infoHash, numWant, port: 9, peerId: peerId(99) }),
              Buffer.alloc(padding),
            ]);
            const [reply] = await client.exchange(request);
            assert.ok(reply !== undefined && reply.readInt32BE(0) === 1);
            assert.ok(reply.length <= request.length && reply.length > request.length - 6);
          }
        }
        const connectionId = await client.connect();
        const proven = await client.announce(infoHash, { connectionId, port: 9, peerId: peerId(99) });
        assert.equal(proven.peers.length, 50);
      });

      test('a scrape is served', async (context) => {
        const { threads } = suite;
        validate(threads, 'disabled');
        const client = await UdpClient.open(context, threads.udp[0]);
        const infoHash = await fillSwarm(client, 3);
        const request = encodeScrapeRequest(0n, 5, [infoHash]);
        const [reply] = await client.exchange(request);
        assert.equal(reply?.toString('hex'), '0000000200000005000000000000000000000003');
      });

      test('a refusal is cut to the length of the request', async (context) => {
        const { threads } = suite;
        validate(threads, 'disabled', { listed: true, private: false });
        const client = await UdpClient.open(context, threads.udp[0]);
        const request = announceBytes({});
        const [reply] = await client.exchange(request);
        assert.equal(reply?.length, request.length);
        const text = `tracker server error: The torrent: ${'00'.repeat(20)}, is not whitelisted`;
        assert.equal(reply?.toString('latin1', 8), text.slice(0, 90));
      });
    });
  });
});

function validate(threads: TrackerThreads, validation: Validation, core: Policies['core'] = {}): void {
  threads.configure({ core, udp_tracker_server: { connection_id_validation: validation } });
}

/** The id that the tracker gave, or will give, to a client. */
function idOf(threads: TrackerThreads, client: UdpClient, ageSeconds: number): bigint {
  const source = new PeerAddress();
  source.bytes.set(client.address.split('.').map(Number));
  source.port = client.port;
  threads.ids.readClock(Date.now() / 1000 - ageSeconds);
  threads.ids.issue(source);
  return (BigInt(threads.ids.high) << 32n) | BigInt(threads.ids.low >>> 0);
}

/** Lets leechers announce from the ports 1000 on; resolves with the torrent. */
async function fillSwarm(client: UdpClient, count: number): Promise<Buffer> {
  const infoHash = newInfoHash();
  const connectionId = await client.connect();
  for (let port = 1000; port < 1000 + count; port++) {
    await client.announce(infoHash, { connectionId, port, peerId: peerId(port), numWant: 1 });
  }
  return infoHash;
}
