/**
 * What becomes of spans, as the SDK of OpenTelemetry counts it itself (its semantic conventions, "OpenTelemetry SDK
 * metrics"): sent, lost in one of two ways, or waiting. The SDK hands metrics to a reader; this one keeps none and asks
 * when it is asked.
 */
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import type { SpanReadings } from './readings.ts';

type MetricReader = NonNullable<NodeSDKConfiguration['metricReaders']>[number];
type MetricProducer = Parameters<MetricReader['setMetricProducer']>[0];

/** The variable by which the SDK counts, which it does not do by default. */
export const SDK_METRICS_VARIABLE = 'OTEL_NODE_EXPERIMENTAL_SDK_METRICS';

const PROCESSED = 'otel.sdk.processor.span.processed';
const QUEUE_SIZE = 'otel.sdk.processor.span.queue.size';
const QUEUE_CAPACITY = 'otel.sdk.processor.span.queue.capacity';
const ERROR_TYPE = 'error.type';
const QUEUE_FULL = 'queue_full';
/** Numbers of the SDK's enumerations: the usual aggregation of each instrument, counted from the start on. */
const DEFAULT_AGGREGATION = 0;
const CUMULATIVE = 1;
/** Kinds of errors, by which the SDK counts, are few. */
const MOST_LABELS = 100;

export class SpanFigures implements MetricReader {
  #producer: MetricProducer | null = null;

  setMetricProducer(producer: MetricProducer): void {
    this.#producer = producer;
  }

  selectAggregation(): ReturnType<MetricReader['selectAggregation']> {
    return { type: DEFAULT_AGGREGATION };
  }

  selectAggregationTemporality(): ReturnType<MetricReader['selectAggregationTemporality']> {
    return CUMULATIVE;
  }

  selectCardinalityLimit(): number {
    return MOST_LABELS;
  }

  async collect(): ReturnType<MetricReader['collect']> {
    if (this.#producer === null) throw new Error('the SDK has not started');
    return this.#producer.collect();
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }

  /** Reads the figures; those of requests that never became spans are not among them. */
  async read(): Promise<Omit<SpanReadings, 'unwritten'>> {
    const { resourceMetrics } = await this.collect();
    const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    const sum = (name: string, fits: (errorType: unknown) => boolean = () => true) => {
      let total = 0;
      for (const { descriptor, dataPoints } of metrics) {
        if (descriptor.name !== name) continue;
        for (const { attributes, value } of dataPoints) {
          if (typeof value === 'number' && fits(attributes[ERROR_TYPE])) total += value;
        }
      }
      return total;
    };
    return {
      sent: sum(PROCESSED, (errorType) => errorType === undefined),
      failed: sum(PROCESSED, (errorType) => errorType !== undefined && errorType !== QUEUE_FULL),
      crowdedOut: sum(PROCESSED, (errorType) => errorType === QUEUE_FULL),
      waiting: sum(QUEUE_SIZE),
      waitingLimit: sum(QUEUE_CAPACITY),
    };
  }
}
