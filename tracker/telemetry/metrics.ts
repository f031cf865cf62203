/**
 * The metrics of a running tracker: the instruments of `instruments.ts` in a registry of prom-client, which writes the
 * text that Prometheus reads, with prom-client's own metrics of the process and of Node.js beside them.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { HistogramSample, InstrumentFacts, ReadHistogram, ReadInstrument } from './instrument.ts';
import { READ_HISTOGRAMS, READ_INSTRUMENTS, RECORDED_COUNTERS, RECORDED_HISTOGRAMS } from './instruments.ts';
import type { Readings } from './readings.ts';

/** How often the delay of the main thread's event loop is measured. */
const EVENT_LOOP_PRECISION_MILLIS = 20;

/** Gauges of prom-client that are named like counters; the same by type have right names. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

type Counters = typeof RECORDED_COUNTERS;
type Histograms = typeof RECORDED_HISTOGRAMS;
/** The labels of an instrument with values that it knows; a described label takes any text. */
type LabelsOf<Facts extends { readonly labels: object }> = Readonly<Record<string, string>> & {
  readonly [Name in keyof Facts['labels']]: Facts['labels'][Name] extends readonly (infer Value)[]
    ? Value
    : string;
};

export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();
  #readings: Readings | null = null;

  constructor() {
    for (const instrument of READ_INSTRUMENTS) this.#addRead(instrument);
    for (const instrument of READ_HISTOGRAMS) this.#addReadHistogram(instrument);
    for (const [key, facts] of Object.entries(RECORDED_COUNTERS)) {
      const counter = new Counter(optionsOf(facts));
      this.#registry.registerMetric(counter);
      for (const labels of combinations(facts)) counter.inc(labels, 0);
      this.#counters.set(key, counter);
    }
    for (const [key, facts] of Object.entries(RECORDED_HISTOGRAMS)) {
      const histogram = new Histogram({ ...optionsOf(facts), buckets: [...facts.buckets] });
      this.#registry.registerMetric(histogram);
      for (const labels of combinations(facts)) histogram.zero(labels);
      this.#histograms.set(key, histogram);
    }
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MILLIS,
    });
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name);
  }

  /** The type of the text that `write` makes, for its reader. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Counts one. */
  count<Key extends keyof Counters>(key: Key, labels: LabelsOf<Counters[Key]>): void {
    this.#counters.get(key)?.inc(labels);
  }

  /** Takes one duration into a distribution. */
  observe<Key extends keyof Histograms>(key: Key, labels: LabelsOf<Histograms[Key]>, seconds: number): void {
    this.#histograms.get(key)?.observe(labels, seconds);
  }

  /** Writes everything in the text format of Prometheus. */
  write(readings: Readings): Promise<string> {
    // Every instrument is read before the first promise is waited for, so that no other scrape comes between.
    this.#readings = readings;
    return this.#registry.metrics();
  }

  #addRead(instrument: ReadInstrument): void {
    const samples = () => (this.#readings === null ? [] : instrument.read(this.#readings));
    const options = optionsOf(instrument);
    const metric =
      instrument.type === 'gauge'
        ? new Gauge({
            ...options,
            collect() {
              this.reset();
              for (const { labels, value } of samples()) this.set(labels, value);
            },
          })
        : new Counter({
            ...options,
            collect() {
              this.reset();
              for (const { labels, value } of samples()) this.inc(labels, value);
            },
          });
    this.#registry.registerMetric(metric);
  }

  /** Prom-client's own histogram only takes single values; the registry asks no more of one than this. */
  #addReadHistogram({ name, help, type, buckets, read }: ReadHistogram): void {
    const get = () => {
      const samples = this.#readings === null ? [] : read(this.#readings);
      return {
        name,
        help,
        type,
        values: samples.flatMap((sample) => histogramValues(name, buckets, sample)),
      };
    };
    // The registry uses the name and this method alone.
    this.#registry.registerMetric({ name, get: () => Promise.resolve(get()) } as unknown as Histogram);
  }
}

/** The values of a distribution in the form of prom-client, where a bucket counts what the buckets below it count too. */
function histogramValues(name: string, buckets: readonly number[], { labels, counts, sum }: HistogramSample) {
  let count = 0;
  const cumulative = [...buckets, '+Inf'].map((le, index) => {
    count += counts[index];
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...cumulative,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

/** What prom-client is told; the registry of the object takes the metric up, and not the one that all programs share. */
function optionsOf({ name, help, labels = {} }: InstrumentFacts) {
  return { name, help, labelNames: Object.keys(labels), registers: [] };
}

/** Every combination of label values; none when a label is only described. */
function combinations({ labels = {} }: InstrumentFacts): Record<string, string>[] {
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (before, [name, values]) =>
      typeof values === 'string'
        ? []
        : before.flatMap((others) => values.map((value) => ({ ...others, [name]: value }))),
    [{}],
  );
}
