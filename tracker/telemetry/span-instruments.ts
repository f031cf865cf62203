/** The instruments of traces; part of the table in `instruments.ts`. */
import { byLabel, type ReadInstrument, single } from './instrument.ts';

const SDK = 'the SDK of OpenTelemetry, on the main thread';

/** They are all 0 where nothing is traced. */
export const SPAN_INSTRUMENTS: readonly ReadInstrument[] = [
  {
    name: 'torrust_tracker_spans_total',
    type: 'counter',
    unit: 'spans',
    help: 'Spans of traces by what became of them: taken by the collector (sent), or lost, since the collector did not take them (failed), since too many waited for it (queue_full), or since a network thread had more requests to tell of than the main thread looks at (thread_full)',
    labels: { outcome: ['sent', 'failed', 'queue_full', 'thread_full'] },
    source: `${SDK}, and for thread_full the network threads`,
    read: ({ spans }) =>
      byLabel('outcome', {
        sent: spans.sent,
        failed: spans.failed,
        queue_full: spans.crowdedOut,
        thread_full: spans.unwritten,
      }),
  },
  {
    name: 'torrust_tracker_spans_waiting',
    type: 'gauge',
    unit: 'spans',
    help: 'Spans that wait to be sent',
    source: SDK,
    read: ({ spans }) => single(spans.waiting),
  },
  {
    name: 'torrust_tracker_spans_waiting_limit',
    type: 'gauge',
    unit: 'spans',
    help: 'Spans that may wait to be sent (`OTEL_BSP_MAX_QUEUE_SIZE`); what comes on top of them is lost',
    source: SDK,
    read: ({ spans }) => single(spans.waitingLimit),
  },
];
