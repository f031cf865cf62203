/**
 * What an instrument is: a name by the conventions of Prometheus, its unit, type, help, labels with all of their values,
 * and where its figure comes from. The instruments themselves stand in `instruments.ts`, each once.
 *
 * An instrument is read when Prometheus asks, from memory that others count in anyway, or it is recorded at the moment
 * when something ends, on the main thread.
 */
import type { Readings } from './readings.ts';

/** All values that a label can have; a text describes them where the configuration or the machine bounds their number. */
export type LabelValues = readonly string[] | string;

/** What every instrument says of itself. */
export interface InstrumentFacts {
  /** `torrust_tracker_`, then the thing; `_total` ends a counter, and the unit of a measure stands before that. */
  readonly name: `torrust_tracker_${string}`;
  /** What one step of the value is. */
  readonly unit: string;
  /** Whole sentences without their last full stop, as Prometheus shows them. */
  readonly help: string;
  /** Absent: none. */
  readonly labels?: Readonly<Record<string, LabelValues>>;
  /** Who counts or knows it, and when. */
  readonly source: string;
}

/** One value of an instrument; it has exactly the labels that the instrument names. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** An instrument that is read at each scrape. */
export interface ReadInstrument extends InstrumentFacts {
  readonly type: 'counter' | 'gauge';
  read(readings: Readings): readonly Sample[];
}

/** A distribution that is read at each scrape. `buckets`: upper bounds in the unit, ascending. */
export interface ReadHistogram extends InstrumentFacts {
  readonly type: 'histogram';
  readonly buckets: readonly number[];
  read(readings: Readings): readonly HistogramSample[];
}

export interface HistogramSample {
  readonly labels: Readonly<Record<string, string>>;
  /** How many lay within each bucket and above the one before; the last lay above all. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** A counter that is recorded. With labels of known values, all of its series begin at 0. */
export interface RecordedCounter extends InstrumentFacts {
  readonly type: 'counter';
}

/** A distribution of seconds that is recorded. `buckets`: upper bounds, ascending. */
export interface RecordedHistogram extends InstrumentFacts {
  readonly type: 'histogram';
  readonly buckets: readonly number[];
}

/** A value without labels. */
export function single(value: number): readonly Sample[] {
  return [{ labels: {}, value }];
}

/** The values of one label, as a table of its values. */
export function byLabel(label: string, values: Readonly<Record<string, number>>): readonly Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
}
