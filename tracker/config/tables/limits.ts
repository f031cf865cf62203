/** The table `limits`: how much one client, one network and all clients together may ask, and how much they may store. */
import * as z from 'zod';
import { bool, cidr, key, maxUint32, section, wholeNumber } from '../fields.ts';

/** A rate above this is not measured exactly any more; no single client needs it. */
const MAX_CLIENT_RATE = 50_000;
const MAX_OVERALL_RATE = 10_000_000;
/** A bucket that takes longer than this to fill again, in seconds, is refused by a rule. */
export const MAX_BURST_SECONDS = 600;
/** How many seconds' worth of requests may come at once where the configuration says nothing. */
export const DEFAULT_BURST_SECONDS = 10;

function bucket(who: string, maxRate: number, description: string) {
  return section(
    z
      .strictObject({
        requests_per_second: key(wholeNumber(0, maxRate).default(0), {
          description: `How many requests ${who} may make in a second, on average; 0 sets no limit.`,
          reload: 'live',
        }),
        burst: key(wholeNumber(1, MAX_BURST_SECONDS * maxRate).optional(), {
          description: `How many requests ${who} may make at once after a pause. At most ${MAX_BURST_SECONDS} seconds' worth.`,
          reload: 'live',
          absent: `${DEFAULT_BURST_SECONDS} seconds' worth`,
        }),
      })
      .prefault({}),
    description,
  );
}

export const limits = z.strictObject({
  dry_run: key(bool().default(false), {
    description: 'Refuses nothing, and only counts what would be refused.',
    reload: 'live',
  }),
  exempt_private: key(bool().default(true), {
    description:
      'Sets no limit to private, shared (RFC 6598), link-local and loopback addresses, behind which may be a proxy or a whole cluster.',
    reload: 'live',
  }),
  exempt: key(z.array(cidr()).default([]), {
    description:
      'Addresses without a limit. Trusted proxies and the ranges of `source_guard.cluster_ranges` never have one.',
    reload: 'live',
  }),
  max_swarms: key(wholeNumber(0, maxUint32).default(0), {
    description:
      'The most swarms that are kept. An announce that would begin another is answered, and not kept. 0 sets no limit but memory.',
    reload: 'live',
  }),
  max_peers_per_swarm: key(wholeNumber(0, maxUint32).default(0), {
    description:
      'The most peers of one swarm that are kept; further ones are answered with peers, and not kept. 0 sets no limit.',
    reload: 'live',
  }),
  max_peers_per_ip: key(wholeNumber(0, maxUint32).default(0), {
    description:
      'The most peers of one IP address that are kept over all swarms; further ones are answered with peers, and not kept. 0 sets no limit but that of a single swarm (64). Private addresses and exempt ones have it too, since it bounds memory.',
    reload: 'live',
  }),
  max_connections_per_ip: key(wholeNumber(0, 65_535).default(0), {
    description:
      'The most connections that one IPv4 address, or one /64 of IPv6, may hold open to the HTTP and HTTPS trackers; further ones are closed. Several clients may share an address. It does not hold for trackers with `network.on_reverse_proxy`. 0 sets no limit.',
    reload: 'live',
  }),
  per_ip: bucket(
    'one address',
    MAX_CLIENT_RATE,
    'Requests of one IP address. Requests that prove by a valid connection id or by a TCP connection where they come from, and those that prove nothing, are counted apart, so that nobody can use up the share of another by forging its address.',
  ),
  per_network: bucket(
    'one network',
    MAX_CLIENT_RATE,
    'Requests of one network: a /24 of IPv4 or a /64 of IPv6, which is what one customer of a provider has.',
  ),
  overall: bucket('all clients together', MAX_OVERALL_RATE, 'Requests of all addresses that are not exempt.'),
});
