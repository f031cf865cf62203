/** A day in the life of a store, in seconds: peers come, stay for a while, stop or fall silent, and swarms fade. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnnounceEvent, AnnounceReply, AnnounceRequest, PeerAddress } from '../../tracker/protocol/model.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { RULES } from './announcing.ts';

const HOURS = 24;
/** Steps of two minutes, the interval of an expiry and of an announce. */
const STEPS_PER_HOUR = 30;
const STEP_SECONDS = 120;
/** Peers that come at each step, how many steps each stays, and after how many silent ones it is forgotten. */
const ARRIVALS = 80;
const STAY_STEPS = 30;
const TIMEOUT_STEPS = 2;
/** Swarms that are busy at a time; one fades and another one begins at each step. */
const BUSY_SWARMS = 100;

test('takes no more memory after a day of churn than after three hours, and forgets everything', () => {
  // Little more than the swarms need: memory that leaked or fell to pieces would be missed within the day.
  const store = Store.create(384 * 1024, 2);
  const crowd = new Crowd(store);
  let early = { usedBytes: 0, peers: 0, torrents: 0 };
  let late = { usedBytes: 0, peers: 0, torrents: 0 };
  for (let step = 0; step < HOURS * STEPS_PER_HOUR; step++) {
    crowd.step(step);
    for (const _ of store.expire(secondsOf(step - TIMEOUT_STEPS), RULES));
    const { usedBytes, ipv4Peers, torrents } = store.totals();
    const hour = step / STEPS_PER_HOUR;
    const most = (before: typeof early) => ({
      usedBytes: Math.max(before.usedBytes, usedBytes),
      peers: Math.max(before.peers, ipv4Peers),
      torrents: Math.max(before.torrents, torrents),
    });
    if (hour >= 1 && hour < 3) early = most(early);
    if (hour >= HOURS - 3) late = most(late);
  }
  assert.ok(early.peers > ARRIVALS * STAY_STEPS * 0.8, `${early.peers} peers at a time`);
  assert.ok(late.peers < early.peers * 1.1, `${early.peers} peers, then ${late.peers}`);
  assert.ok(late.torrents < early.torrents * 1.1, `${early.torrents} torrents, then ${late.torrents}`);
  assert.ok(late.usedBytes < early.usedBytes * 1.1, `${early.usedBytes} bytes, then ${late.usedBytes}`);
  const { unstoredAnnounces, evictedPeers, evictedTorrents } = store.totals();
  assert.deepEqual({ unstoredAnnounces, evictedPeers, evictedTorrents }, { unstoredAnnounces: 0, evictedPeers: 0, evictedTorrents: 0 }); // prettier-ignore
  for (const _ of store.expire(secondsOf(HOURS * STEPS_PER_HOUR), RULES));
  const { torrents, ipv4Peers, seeders, usedBytes } = store.totals();
  assert.deepEqual({ torrents, ipv4Peers, seeders, usedBytes }, { torrents: 0, ipv4Peers: 0, seeders: 0, usedBytes: 0 }); // prettier-ignore
});

/** Everybody who announces. A peer is a number; all that there is to know of it follows from that. */
class Crowd {
  readonly #store: Store;
  readonly #request = new AnnounceRequest();
  readonly #reply = new AnnounceReply(new Uint16Array(256));
  readonly #source = new PeerAddress();

  constructor(store: Store) {
    this.#store = store;
    this.#reply.families = 1;
    this.#reply.peersWanted = 50;
  }

  /** Newcomers announce, those who are there announce again, and of those who go half say so. */
  step(step: number): void {
    const newest = (step + 1) * ARRIVALS - 1;
    const oldest = Math.max(0, (step - STAY_STEPS) * ARRIVALS);
    for (let peer = oldest; peer <= newest; peer++) {
      const stays = peer >= oldest + ARRIVALS || step < STAY_STEPS;
      if (stays) this.#announce(peer, step, AnnounceEvent.none);
      else if (peer % 2 === 0) this.#announce(peer, step, AnnounceEvent.stopped);
    }
  }

  #announce(peer: number, step: number, event: AnnounceEvent): void {
    const request = this.#request;
    const came = Math.floor(peer / ARRIVALS);
    const mixed = Math.imul(peer + 1, 0x9e3779b1) >>> 0;
    // The lower of two numbers: some swarms are large, most are small.
    const swarm = came + Math.min(mixed % BUSY_SWARMS, (mixed >>> 10) % BUSY_SWARMS);
    request.words[AnnounceRequest.INFO_HASH_WORD] = swarm;
    request.words[AnnounceRequest.PEER_ID_WORD + 4] = peer;
    request.words[AnnounceRequest.LEFT_WORD + 1] = peer % 3;
    request.event = event;
    this.#source.words[0] = mixed;
    request.setEndpoint(this.#source, 1024 + (peer % 60_000));
    this.#store.announce(request, this.#reply, secondsOf(step), RULES);
  }
}

function secondsOf(step: number): number {
  return 100_000 + step * STEP_SECONDS;
}
