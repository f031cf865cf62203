/** The table `source_guard`: announces whose address can't be that of a client on the Internet. */
import * as z from 'zod';
import { cidr, key, oneOf } from '../fields.ts';

export const sourceGuard = z.strictObject({
  policy: key(oneOf('accept', 'flag', 'refuse').default('flag'), {
    description:
      'What is done with announces from addresses that other clients can hardly reach: private, shared (RFC 6598), link-local and loopback ones, trusted proxies, and those of `cluster_ranges`. `accept` counts and stores them, `flag` also says so in the log, `refuse` counts and does not store them.',
    reload: 'live',
  }),
  cluster_ranges: key(z.array(cidr()).default([]), {
    description:
      'The addresses of nodes, pods and services of the cluster. Announces that come from them show that the addresses of clients are lost on the way.',
    reload: 'live',
  }),
  exempt: key(z.array(cidr()).default([]), {
    description: 'Addresses that are in order all the same, such as those of clients on a local network.',
    reload: 'live',
  }),
});
