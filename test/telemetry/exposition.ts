/** The text format of Prometheus, read strictly: metrics with their types, and every sample with its labels. */
import assert from 'node:assert/strict';

export interface ExposedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Exposition {
  /** The type of each metric by its name. */
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly ExposedSample[];
  /** The one sample with this name and these labels, no more and no fewer. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
  /** The sum over all samples with this name that have these labels among theirs. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

/** Asks for metrics and reads them. */
export async function scrape(url: string): Promise<Exposition> {
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  return parseExposition(await response.text());
}

export function parseExposition(text: string): Exposition {
  const types = new Map<string, string>();
  const samples: ExposedSample[] = [];
  for (const line of text.split('\n').filter((each) => each !== '' && !each.startsWith('# HELP '))) {
    const [, typed = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (typed !== '') {
      assert.ok(!types.has(typed), `${typed} comes once`);
      types.set(typed, type);
      continue;
    }
    const [, name, labels = '', value] = /^([a-zA-Z_]\w*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    assert.ok(name !== undefined && value !== undefined, line);
    samples.push({ name, labels: parseLabels(labels), value: parseValue(value) });
  }
  const find = (name: string, labels: Readonly<Record<string, string>>) =>
    samples.filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  return {
    types,
    samples,
    value(name, labels = {}) {
      const count = Object.keys(labels).length;
      const found = find(name, labels).filter((sample) => Object.keys(sample.labels).length === count);
      assert.equal(found.length, 1, `${name}${JSON.stringify(labels)} is there ${found.length} times`);
      return found[0].value;
    },
    sum: (name, labels = {}) => find(name, labels).reduce((sum, { value }) => sum + value, 0),
  };
}

function parseLabels(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)];
  assert.equal(pairs.map(([pair]) => pair).join(''), text, 'labels are pairs');
  return Object.fromEntries(pairs.map(([, name, value]) => [name, value]));
}

function parseValue(text: string): number {
  if (text === '+Inf') return Infinity;
  assert.match(text, /^(-?\d+(\.\d+)?(e[+-]?\d+)?|Nan)$/);
  return Number(text === 'Nan' ? 'NaN' : text);
}
