/**
 * The HTTPS load: so many announces on their way at a time, by the client of Node.js. It is no faster than the servers,
 * which does not matter: what is counted is the processor time of a server for each announce.
 *
 * `new`: a connection and a full handshake for each announce; TLS sessions are not resumed, as clients that come twice an
 * hour hardly do. `keep-alive`: connections stay open.
 */
import { once } from 'node:events';
import { Agent, get } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IncomingMessage } from 'node:http';
import type { ConnectionUse } from './http-load.ts';
import { infoHashText, isLeecher, type LoadProfile, Random, skewedTorrent } from './population.ts';
import { readCpuSeconds, readResidentBytes } from './process-usage.ts';

export interface HttpsLoadOptions {
  readonly profile: LoadProfile;
  readonly port: number;
  readonly pid: number;
  readonly use: ConnectionUse;
  readonly connections: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly seed: number;
}

/** What was counted after the warm-up. */
export interface HttpsLoadResult {
  readonly seconds: number;
  readonly announces: number;
  /** Replies with another status than 200, and connections that broke. */
  readonly errors: number;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
  readonly serverResidentBytes: number;
}

/** As in udp-load.ts. */
const WARM_UP_ANNOUNCES = 30_000;
const WARM_UP_STRETCH = 6;

/** Makes load on the server and counts. */
export async function runHttpsLoad(options: HttpsLoadOptions): Promise<HttpsLoadResult> {
  const { connections, pid, use, warmUpSeconds, seconds } = options;
  const agent = new Agent({
    keepAlive: use === 'keep-alive',
    maxSockets: connections,
    maxCachedSessions: 0,
    rejectUnauthorized: false,
  });
  const random = new Random(options.seed);
  const counts = { announces: 0, errors: 0 };
  let isDone = false;
  const announceAgain = async (): Promise<void> => {
    while (!isDone) {
      if (await announce(options, agent, random)) counts.announces++;
      else counts.errors++;
    }
  };
  const clients = Array.from({ length: connections }, announceAgain);
  // So slow a load takes its time until the server's code is compiled.
  const endMillis = performance.now() + warmUpSeconds * 1000 * WARM_UP_STRETCH;
  do await sleep(warmUpSeconds * 1000);
  while (counts.announces < WARM_UP_ANNOUNCES && performance.now() < endMillis);
  const look = () => ({
    millis: performance.now(),
    ...counts,
    server: readCpuSeconds(pid),
    client: readCpuSeconds(process.pid),
  });
  const start = look();
  await sleep(seconds * 1000);
  const end = look();
  const serverResidentBytes = readResidentBytes(pid);
  isDone = true;
  await Promise.all(clients);
  agent.destroy();
  return {
    seconds: (end.millis - start.millis) / 1000,
    announces: end.announces - start.announces,
    errors: end.errors - start.errors,
    serverCpuSeconds: end.server - start.server,
    clientCpuSeconds: end.client - start.client,
    serverResidentBytes,
  };
}

/** Announces once. Resolves with whether the answer was as it should be. */
async function announce({ profile, port }: HttpsLoadOptions, agent: Agent, random: Random): Promise<boolean> {
  const infoHash = infoHashText(skewedTorrent(random, profile.torrents)).replace(/../g, '%$&');
  const endpoint = random.below(profile.endpoints);
  const query = [
    `info_hash=${infoHash}`,
    `peer_id=-BN0001-${String(endpoint).padStart(12, '0')}`,
    `port=${1024 + (endpoint % 60_000)}`,
    `uploaded=0&downloaded=0&left=${isLeecher(endpoint) ? 9 : 0}`,
    `compact=1&numwant=${profile.numWant}`,
  ].join('&');
  try {
    const request = get({ host: '127.0.0.1', port, path: `/announce?${query}`, agent });
    // What `response` brings is typed by nobody.
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode === 200;
  } catch {
    return false;
  }
}
