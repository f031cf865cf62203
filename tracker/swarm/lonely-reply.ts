/** The reply to an announcer whose torrent is not kept: it is told of a swarm that has nobody but itself. */
import { type AnnounceReply, AnnounceRequest } from '../protocol/model.ts';
import { leftIsNone } from './peer-page.ts';

/** Fills in what the store fills in, but `change` and `beyond`. */
export function answerWithoutSwarm(request: AnnounceRequest, reply: AnnounceReply): void {
  reply.stored = false;
  reply.ipv4Peers = 0;
  reply.ipv6Peers = 0;
  reply.completed = 0;
  reply.seeders = leftIsNone(request.words, AnnounceRequest.LEFT_WORD) ? 1 : 0;
  reply.leechers = 1 - reply.seeders;
}
