/**
 * `GET /api/v1/abuse`: what the tracker refused, ignored or found odd since its start, by reason. Ours; the same figures
 * are among the metrics.
 */
import type { ApiContext } from './context.ts';
import { jsonReply } from './reply.ts';
import type { Route } from './routes.ts';

export function abuseRoute({ counters, bans }: ApiContext): Route {
  const show = () => {
    const counts = counters.sums();
    const abuse = {
      bans: {
        in_force: bans.list().length,
        udp_requests_ignored: counts.udp_requests_banned,
        http_requests_refused: counts.http_requests_banned,
      },
      connection_id_failures: {
        expired: counts.connection_id_expired,
        other_address: counts.connection_id_other_address,
        forged: counts.connection_id_forged,
      },
      requests_beyond_limits: {
        per_ip: counts.requests_beyond_ip_limit,
        per_network: counts.requests_beyond_network_limit,
        overall: counts.requests_beyond_overall_limit,
      },
      connections_beyond_limit: counts.connections_beyond_limit,
      announces_beyond_limits: {
        max_swarms: counts.announces_beyond_swarm_limit,
        max_peers_per_swarm: counts.announces_beyond_swarm_peer_limit,
        max_peers_per_ip: counts.announces_beyond_ip_peer_limit,
      },
      local_source_announces: {
        cluster: counts.announces_from_cluster,
        proxy: counts.announces_from_proxy,
        loopback: counts.announces_from_loopback,
        private: counts.announces_from_private,
        shared: counts.announces_from_shared,
        link_local: counts.announces_from_link_local,
        unique_local: counts.announces_from_unique_local,
        refused: counts.announces_refused_for_source,
      },
      proxy_headers_refused: counts.proxy_headers_refused,
    };
    return jsonReply(JSON.stringify(abuse));
  };
  return { path: '/api/v1/abuse', handlers: { GET: show } };
}
