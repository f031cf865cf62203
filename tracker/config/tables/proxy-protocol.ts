/** The table `proxy_protocol`: load balancers that put the address of the client in front of what they pass on. */
import * as z from 'zod';
import { bool, cidr, key } from '../fields.ts';

export const proxyProtocol = z.strictObject({
  trusted_proxies: key(z.array(cidr()).default([]), {
    description:
      'The addresses of load balancers that speak the PROXY protocol. Each of their connections (versions 1 and 2) and datagrams (version 2) has to begin with its header, whose address is the client. From anybody else a header is refused. Empty: there are none.',
    reload: 'live',
  }),
  http: key(bool().default(true), {
    description: 'The load balancers speak the PROXY protocol to HTTP and HTTPS trackers.',
    reload: 'live',
  }),
  udp: key(bool().default(true), {
    description: 'The load balancers speak the PROXY protocol to UDP trackers.',
    reload: 'live',
  }),
});
