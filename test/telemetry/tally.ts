/** What the clients of a test counted, in the form in which the tracker counts it: by metric and labels. */
import type { InstrumentFacts } from '../../tracker/telemetry/instrument.ts';
import type { Exposition } from './exposition.ts';

type Labels = Readonly<Record<string, string>>;

export class Tally {
  readonly #counts = new Map<string, number>();

  add(metric: string, labels: Labels = {}, count = 1): void {
    const key = keyOf(`torrust_tracker_${metric}`, labels);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  /** The values of an instrument's labels that are known beforehand, and that nobody counted. */
  missing({ name, labels = {} }: InstrumentFacts): string[] {
    const keys = [...this.#counts.keys()].filter((key) => key.startsWith(`${name}{`));
    return Object.entries(labels).flatMap(([label, texts]) =>
      typeof texts === 'string'
        ? []
        : texts.filter((text) => !keys.some((key) => key.includes(`${JSON.stringify(label)}:"${text}"`))),
    );
  }

  /** The sum of what was counted of a metric with these labels among its own. */
  sum(metric: string, labels: Labels): number {
    const wanted = Object.entries(labels).map(([label, text]) => `${JSON.stringify(label)}:"${text}"`);
    return [...this.#counts]
      .filter(
        ([key]) => key.startsWith(`torrust_tracker_${metric}{`) && wanted.every((each) => key.includes(each)),
      )
      .reduce((sum, [, count]) => sum + count, 0);
  }

  /** Everything, by `metric{"label":"value"}`, sorted. */
  get counts(): Record<string, number> {
    return sorted(this.#counts);
  }
}

/** The samples of these metrics that are not 0, as `Tally` has them. */
export function countedBy(exposition: Exposition, metrics: ReadonlySet<string>): Record<string, number> {
  const counted = exposition.samples.filter(({ name, value }) => metrics.has(name) && value !== 0);
  return sorted(new Map(counted.map(({ name, labels, value }) => [keyOf(name, labels), value])));
}

function keyOf(name: string, labels: Labels): string {
  const sortedLabels = Object.fromEntries(Object.entries(labels).toSorted(byKey));
  return `${name}${JSON.stringify(sortedLabels)}`;
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].toSorted(byKey));
}

function byKey([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}
