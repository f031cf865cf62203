/** The table `[telemetry]`: traces for an OpenTelemetry collector. The standard variables `OTEL_*` win over it. */
import * as z from 'zod';
import { key, kind, maxUint32, publicUrl, section, text, wholeNumber } from '../fields.ts';

export const telemetry = section(
  z
    .strictObject({
      otlp_endpoint: key(publicUrl('http', 'https').optional(), {
        description:
          'The collector that traces are sent to by OTLP, such as `http://127.0.0.1:4318`. Without it, and without `OTEL_EXPORTER_OTLP_ENDPOINT`, nothing is traced.',
        reload: 'restart',
        absent: 'none, nothing is traced',
      }),
      service_name: key(text('a name').default('torrust-tracker'), {
        description: 'The name of this tracker in traces.',
        reload: 'restart',
      }),
      sample_ratio: key(kind(z.number().min(0).max(1), 'a number from 0 to 1').default(1), {
        description:
          'The part of the traces that begin here which are kept. A caller that sends `traceparent` decides for its own.',
        reload: 'restart',
      }),
      udp_every: key(wholeNumber(0, maxUint32).default(0), {
        description:
          'One UDP request in so many is offered to the traces; 0 is none. It is rounded up to a multiple of 61, since one in 61 is measured anyway.',
        reload: 'restart',
      }),
    })
    .prefault({}),
  'Traces by OpenTelemetry, see `docs/tracing.md`.',
);
