/** The table `bans`: what is kept of bans, and who is never banned. */
import * as z from 'zod';
import { cidr, key, text } from '../fields.ts';

export const bans = z.strictObject({
  path: key(text('the path of a file').optional(), {
    description:
      'A file that keeps bans over a restart: those by hand at once, those for wrong connection ids within a minute. Its folder has to exist.',
    reload: 'restart',
    absent: 'none, bans end with the tracker',
  }),
  exempt: key(z.array(cidr()).default([]), {
    description:
      'Addresses that are never banned. Local addresses, trusted proxies and the ranges of `source_guard.cluster_ranges` never are.',
    reload: 'live',
  }),
});
