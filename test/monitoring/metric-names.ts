/** The names of all metrics of the tracker, as queries may ask for them. */
import {
  READ_HISTOGRAMS,
  READ_INSTRUMENTS,
  RECORDED_COUNTERS,
  RECORDED_HISTOGRAMS,
} from '../../tracker/telemetry/instruments.ts';

export const METRIC_NAMES: readonly string[] = [
  ...READ_INSTRUMENTS.map(({ name }) => name),
  ...Object.values(RECORDED_COUNTERS).map(({ name }) => name),
  ...[...READ_HISTOGRAMS, ...Object.values(RECORDED_HISTOGRAMS)].map(({ name }) => name),
];
