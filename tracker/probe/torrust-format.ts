/**
 * A probe's result in the JSON of Torrust Tracker's own tools, for scripts that read it: `udp_tracker_client`,
 * `http_tracker_client` and `tracker_checker` of v3.0.0, down to their white space.
 */
import { isHealthy } from './health.ts';
import {
  describeFailure,
  type HealthResult,
  type ProbeFailure,
  type ProbeResult,
  type ProbeStep,
  type ProbeStepName,
} from './result.ts';

type Json = string | number | null | readonly Json[] | { readonly [key: string]: Json };

/**
 * What `udp_tracker_client` (pretty, without a newline at the end) or `http_tracker_client` (one line with a newline)
 * prints for the last announce or scrape of a probe. Null when there is no reply to print; those tools then write
 * to their standard error and fail.
 */
export function formatTorrustJson(result: ProbeResult, question: 'announce' | 'scrape'): string | null {
  const step = result.steps.findLast((candidate) => candidate.name === question);
  if (step === undefined) return null;
  if (result.protocol !== 'udp') {
    const reply = step.kind === 'ok' ? httpReply(step) : null;
    return reply === null ? null : `${JSON.stringify(reply)}\n`;
  }
  const reply = udpReply(step, result.remote?.startsWith('[') ? 'AnnounceIpv6' : 'AnnounceIpv4');
  return reply === null ? null : JSON.stringify(reply, null, 2);
}

/** What `tracker_checker` prints for its targets, without the log lines: one pretty array and a newline. */
export function formatTorrustChecks(results: readonly (ProbeResult | HealthResult)[]): string {
  return `${JSON.stringify(results.map(check), null, 2)}\n`;
}

function udpReply(step: ProbeStep, announceName: string): Json {
  if (step.kind === 'failed') {
    if (step.failure.kind !== 'refused' || step.transactionId === null) return null;
    return { Error: { transaction_id: step.transactionId, message: step.failure.reason } };
  }
  if (step.name === 'announce') {
    const { transactionId, intervalSeconds, seeders, leechers, peers } = step.announce;
    return {
      [announceName]: {
        transaction_id: transactionId,
        announce_interval: intervalSeconds,
        leechers,
        seeders,
        peers: peers.map((peer) => `${peer.address}:${peer.port}`),
      },
    };
  }
  if (step.name !== 'scrape') return null;
  const { transactionId, entries } = step.scrape;
  const stats = entries.map(({ seeders, completed, leechers }) => ({ seeders, completed, leechers }));
  return { Scrape: { transaction_id: transactionId, torrent_stats: stats } };
}

function httpReply(step: ProbeStep): Json {
  if (step.kind === 'failed') return null;
  if (step.name === 'announce') {
    const { intervalSeconds, minIntervalSeconds, seeders, leechers, peers } = step.announce;
    return {
      complete: seeders,
      incomplete: leechers,
      interval: intervalSeconds,
      'min interval': minIntervalSeconds,
      peers: peers.map(({ address, port, peerId }) => ({
        ip: address,
        'peer id': peerId === null ? null : [...Buffer.from(peerId, 'hex')],
        port,
      })),
    };
  }
  if (step.name !== 'scrape') return null;
  return Object.fromEntries(
    step.scrape.entries.map(({ infoHash, seeders, completed, leechers }) => [
      infoHash,
      { complete: seeders, downloaded: completed, incomplete: leechers },
    ]),
  );
}

function check(result: ProbeResult | HealthResult): Json {
  if (result.protocol === 'health') {
    const { outcome, url } = result;
    const answer: Json =
      outcome.kind === 'answered'
        ? { Ok: `${outcome.status} ${outcome.statusText}`.trim() }
        : { Err: { RequestFailed: { err: describeFailure(outcome.failure) } } };
    return { Health: verdict(isHealthy(result), { url, result: answer }) };
  }
  if (result.protocol !== 'udp') {
    // These tools know no step of its own for the connection: it counts as the announce that it was made for.
    const results = stepResults(result.steps, [['Announce', ['resolve', 'connect', 'announce']], ['Scrape', ['scrape']]], httpError); // prettier-ignore
    return { Http: verdict(result.ok, { url: result.url, results }) };
  }
  const groups: Group[] = [['Setup', ['resolve']], ['Connect', ['connect']], ['Announce', ['announce']], ['Scrape', ['scrape']]]; // prettier-ignore
  const results = stepResults(result.steps, groups, udpError);
  return {
    Udp: verdict(result.ok, { remote_addr: result.remote ?? result.url.replace('udp://', ''), results }),
  };
}

type Group = [title: string, names: readonly ProbeStepName[]];

function verdict(ok: boolean, details: Json): Json {
  return ok ? { Ok: details } : { Err: details };
}

/** One pair per group that has steps: its title, and the first failure in it or none. */
function stepResults(
  steps: readonly ProbeStep[],
  groups: readonly Group[],
  errorOf: (name: ProbeStepName, failure: ProbeFailure) => Json,
): Json {
  const pairs: Json[] = [];
  for (const [title, names] of groups) {
    const members = steps.filter((step) => names.includes(step.name));
    if (members.length === 0) continue;
    const failed = members.find((step) => step.kind === 'failed');
    pairs.push([title, failed === undefined ? { Ok: null } : { Err: errorOf(failed.name, failed.failure) }]);
  }
  return pairs;
}

function udpError(name: ProbeStepName, failure: ProbeFailure): Json {
  const err = describeFailure(failure);
  switch (name) {
    case 'resolve':
      return { UnableToBindAndConnect: { err } };
    case 'connect':
      return { UnableToReceiveConnectResponse: { err } };
    case 'scrape':
      return { UnableToReceiveScrapeResponse: { err } };
    case 'announce':
    case 'stop':
      return { UnableToReceiveAnnounceResponse: { err } };
  }
}

function httpError(_name: ProbeStepName, failure: ProbeFailure): Json {
  return { ResponseError: { err: describeFailure(failure) } };
}
