/** The instruments of abuse control: requests beyond limits, bans, and addresses that are not those of clients. */
import { byLabel, type ReadInstrument, single } from './instrument.ts';

const NETWORK_THREADS = 'the network threads, each in a row of shared memory of its own';

export const GATE_INSTRUMENTS: readonly ReadInstrument[] = [
  {
    name: 'torrust_tracker_requests_beyond_limits_total',
    type: 'counter',
    unit: 'requests',
    help: 'Requests beyond a limit of the table limits, by the limit: one address, its network, all clients; refused, or only counted with dry_run',
    labels: { limit: ['per_ip', 'per_network', 'overall'] },
    source: NETWORK_THREADS,
    read: ({ counters }) =>
      byLabel('limit', {
        per_ip: counters.requests_beyond_ip_limit,
        per_network: counters.requests_beyond_network_limit,
        overall: counters.requests_beyond_overall_limit,
      }),
  },
  {
    name: 'torrust_tracker_connections_beyond_limit_total',
    type: 'counter',
    unit: 'connections',
    help: 'HTTP connections of addresses that held as many as limits.max_connections_per_ip allows; closed, or only counted with dry_run',
    source: NETWORK_THREADS,
    read: ({ counters }) => single(counters.connections_beyond_limit),
  },
  {
    name: 'torrust_tracker_announces_beyond_limits_total',
    type: 'counter',
    unit: 'announces',
    help: 'Announces beyond a limit of what is kept, by the limit: swarms in all, peers of a swarm, peers of an address; answered and not kept, or kept and only counted with dry_run',
    labels: { limit: ['max_swarms', 'max_peers_per_swarm', 'max_peers_per_ip'] },
    source: NETWORK_THREADS,
    read: ({ counters }) =>
      byLabel('limit', {
        max_swarms: counters.announces_beyond_swarm_limit,
        max_peers_per_swarm: counters.announces_beyond_swarm_peer_limit,
        max_peers_per_ip: counters.announces_beyond_ip_peer_limit,
      }),
  },
  {
    name: 'torrust_tracker_http_requests_banned_total',
    type: 'counter',
    unit: 'requests',
    help: 'HTTP announces and scrapes that failed because their address was banned by hand',
    source: NETWORK_THREADS,
    read: ({ counters }) => single(counters.http_requests_banned),
  },
  {
    name: 'torrust_tracker_proxy_headers_refused_total',
    type: 'counter',
    unit: 'headers',
    help: 'Connections and datagrams that were dropped for their PROXY protocol header: malformed or missing from a listed load balancer, or sent by anybody else',
    source: NETWORK_THREADS,
    read: ({ counters }) => single(counters.proxy_headers_refused),
  },
  {
    name: 'torrust_tracker_local_source_announces_total',
    type: 'counter',
    unit: 'announces',
    help: 'Announces for addresses that other clients can hardly reach, by the kind of address (table source_guard): many of them show that something hides the addresses of clients',
    labels: {
      source: ['cluster', 'proxy', 'loopback', 'private', 'shared', 'link_local', 'unique_local'],
    },
    source: NETWORK_THREADS,
    read: ({ counters }) =>
      byLabel('source', {
        cluster: counters.announces_from_cluster,
        proxy: counters.announces_from_proxy,
        loopback: counters.announces_from_loopback,
        private: counters.announces_from_private,
        shared: counters.announces_from_shared,
        link_local: counters.announces_from_link_local,
        unique_local: counters.announces_from_unique_local,
      }),
  },
  {
    name: 'torrust_tracker_local_source_announces_refused_total',
    type: 'counter',
    unit: 'announces',
    help: 'Those of them that were refused, with source_guard.policy = "refuse"',
    source: NETWORK_THREADS,
    read: ({ counters }) => single(counters.announces_refused_for_source),
  },
  {
    name: 'torrust_tracker_probe_announces_total',
    type: 'counter',
    unit: 'announces',
    help: 'Announces of the info hash of probes from such addresses, as the operator in Kubernetes makes them; they are answered and not stored, and not among the others',
    source: NETWORK_THREADS,
    read: ({ counters }) => single(counters.announces_of_probes),
  },
];
