/** The metrics of trackers as tests wait for them, and which instruments were seen at work: with a value that is not 0. */
import type { InstrumentFacts } from '../../tracker/telemetry/instrument.ts';
import type { TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { type Exposition, scrape } from './exposition.ts';

const DEADLINE_MILLIS = 30_000;

/** What a metric should tell: exactly that, or what the function takes. */
export type Wanted = number | ((value: number) => boolean);

export class SeenSeries {
  readonly #seen = new Set<string>();

  /** Scrapes a tracker, and takes note of what it tells. */
  async look(tracker: TrackerProcess): Promise<Exposition> {
    const exposition = await scrape(tracker.metrics);
    for (const { name, labels, value } of exposition.samples) {
      // A distribution is seen when something is counted in it; its buckets are 0 where nothing is that short.
      if (!(value > 0) || /_(bucket|sum)$/.test(name)) continue;
      const metric = name.replace(/_count$/, '');
      this.#seen.add(metric);
      for (const [label, text] of Object.entries(labels)) this.#seen.add(`${metric} ${label}=${text}`);
    }
    return exposition;
  }

  /** One value; `name` is as for `valueOf`. */
  async valueOf(tracker: TrackerProcess, name: string): Promise<number> {
    return valueOf(await this.look(tracker), name);
  }

  /** Waits until the metrics tell all of this at once; the names are as for `valueOf`. */
  async untilTold(tracker: TrackerProcess, expected: Readonly<Record<string, Wanted>>): Promise<void> {
    let found: (readonly [name: string, value: number, isThere: boolean])[] = [];
    const look = async () => {
      const exposition = await this.look(tracker);
      found = Object.entries(expected).map(([name, wanted]) => {
        const value = valueOf(exposition, name);
        return [name, value, typeof wanted === 'number' ? value === wanted : wanted(value)];
      });
      return found.every(([, , isThere]) => isThere);
    };
    await waitFor('the metrics', look, DEADLINE_MILLIS).catch((cause: unknown) => {
      const wrong = found.filter(([, , isThere]) => !isThere).map(([name, value]) => `${name}: ${value}`);
      throw new Error(`the metrics tell ${wrong.join(', ')}`, { cause });
    });
  }

  /** What of an instrument was never seen: the instrument itself, or values of its labels that are known beforehand. */
  missing({ name, labels = {} }: InstrumentFacts): string[] {
    const values = Object.entries(labels).flatMap(([label, texts]) =>
      typeof texts === 'string' ? [] : texts.map((text) => `${name} ${label}=${text}`),
    );
    return [name, ...values].filter((each) => !this.#seen.has(each));
  }
}

/** The value of `name` or `name label=value ...`, without the prefix of our names. */
export function valueOf(exposition: Exposition, name: string): number {
  const [metric, ...pairs] = name.split(' ');
  const labels = Object.fromEntries(
    pairs.map((pair): [string, string] => {
      const [label, value] = pair.split('=');
      return [label, value];
    }),
  );
  return exposition.value(`torrust_tracker_${metric}`, labels);
}
