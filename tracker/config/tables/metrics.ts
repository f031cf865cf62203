/** The table `[metrics]`: where Prometheus finds the figures of `docs/metrics.md`. */
import * as z from 'zod';
import { key, section, socketAddress } from '../fields.ts';

export const metrics = section(
  z
    .strictObject({
      bind_address: key(socketAddress().default('127.0.0.1:1314'), {
        description:
          'Where `/metrics` is served, by plain HTTP and to everyone who reaches it: it tells no addresses and no secrets.',
        reload: 'restart',
      }),
    })
    .prefault({}),
  'Metrics for Prometheus. They are always served.',
);
