/**
 * Random and changed datagrams against the UDP sockets of both kinds: each gets the reply that it deserves, which is no
 * larger than the request unless that proves where it comes from; its own counters move and no others; and what is not
 * a good announce changes no swarm.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConnectionIds } from '../../tracker/connection-id.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { readIpText } from '../../tracker/protocol/ip-text.ts';
import {
  type Counts,
  forEachSocketPath,
  type TrackerThreads,
  threadsOfSuite,
} from '../net/tracker-threads.ts';
import { UdpClient } from '../net/udp-exchange.ts';
import { needs } from '../support/parts.ts';
import { countsOf, type Datagram, desertsOf, faultOfReply, type Ids, makeDatagram } from './datagrams.ts';
import { chooseSeed, Random } from './random.ts';

const BATCHES = 40;
const DATAGRAMS_PER_BATCH = 50;
/** The configured lifetime of a connection id is two minutes. */
const EXPIRED_AGE_SECONDS = 300;

forEachSocketPath((sockets) => {
  for (const [family, local, needed] of [
    [4, '127.0.0.1', {}],
    [6, '::1', needs('ipv6')],
  ] as const) {
    describe(`Bad datagrams over IPv${family} and ${sockets} sockets`, needed, () => {
      const bind_address = family === 4 ? '127.0.0.1:0' : '[::1]:0';
      const suite = threadsOfSuite(sockets, { udp: [{ bind_address }] });

      test('get what they deserve, and change nothing else', async (context) => {
        const { threads } = suite;
        const seed = chooseSeed();
        context.diagnostic(`FUZZ_SEED=${seed} repeats it`);
        const client = await UdpClient.open(context, threads.udp[0], local);
        const other = await UdpClient.open(context, threads.udp[0], local);
        const ids = await idsFor(threads.ids, client, other);
        for (let batch = 0; batch < BATCHES; batch++) {
          const random = new Random(seed + batch);
          const all = Array.from({ length: DATAGRAMS_PER_BATCH }, () => makeDatagram(random, ids));
          const isAnnounce = (datagram: Datagram) => desertsOf(datagram).kind === 'announce';
          const before = threads.swarms();
          try {
            await exchange(
              threads,
              client,
              family,
              all.filter((each) => !isAnnounce(each)),
            );
            assert.deepEqual(threads.swarms(), before);
            await exchange(threads, client, family, all.filter(isAnnounce));
          } catch (cause) {
            throw new Error(`FUZZ_SEED=${seed + batch}`, { cause });
          }
        }
      });
    });
  }
});

/** Sends datagrams and judges counters and replies. */
async function exchange(
  threads: TrackerThreads,
  client: UdpClient,
  family: 4 | 6,
  datagrams: readonly Datagram[],
): Promise<void> {
  // The client asks for a connection id behind them.
  const marker: Datagram = { bytes: Buffer.from('00000417271019800000000000000000', 'hex'), id: 'valid' };
  const counts = sum([...datagrams, marker].map((datagram) => countsOf(datagram, family)));
  const replies = await threads.expectCounts(counts, () =>
    client.exchange(...datagrams.map(({ bytes }) => bytes)),
  );
  // One socket is answered in order.
  for (const datagram of datagrams) {
    const reply = desertsOf(datagram).kind === 'silence' ? null : (replies.shift() ?? null);
    const fault = faultOfReply(datagram, reply, family);
    const shown = () => `${datagram.bytes.toString('hex')} (${datagram.id}) got ${reply?.toString('hex')}`;
    assert.ok(fault === undefined, `${shown()}: ${fault}`);
  }
  assert.deepEqual(replies, []);
}

/** Connection ids of each kind for the first client. */
async function idsFor(ids: ConnectionIds, client: UdpClient, other: UdpClient): Promise<Ids> {
  const source = new PeerAddress();
  const text = Buffer.from(client.address);
  assert.ok(readIpText(text, 0, text.length, source));
  source.port = client.port;
  ids.readClock(Date.now() / 1000 - EXPIRED_AGE_SECONDS);
  ids.issue(source);
  const valid = await client.connect();
  return {
    valid,
    otherAddress: await other.connect(),
    expired: (BigInt(ids.high) << 32n) | (BigInt(ids.low) & 0xffff_ffffn),
    // Neither the tag of the time slot nor the proof of the address is right.
    forged: valid ^ 0x1_0000_0001n,
  };
}

function sum(counts: readonly Counts[]): Counts {
  const total: Record<string, number> = {};
  for (const each of counts) {
    for (const [name, count] of Object.entries(each)) total[name] = (total[name] ?? 0) + count;
  }
  return total;
}
