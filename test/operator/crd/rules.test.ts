/**
 * Every rule between fields is broken once and kept once, by resources that differ in little else.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type OpenApiSchema, trackerSchema } from '../../../operator/crd/definition.ts';
import { readTracker } from '../../../operator/crd/tracker.ts';
import { RULE_CASES } from './rule-cases.ts';

function problemsOf(spec: unknown, name = 'sample'): readonly string[] {
  const read = readTracker({
    apiVersion: 'tracker.torrust.com/v1alpha1',
    kind: 'TorrustTracker',
    metadata: { name },
    spec,
  });
  return read.kind === 'refused' ? read.problems : [];
}

describe('refuses, with the sentence of the rule alone, unless', () => {
  for (const [title, { says, broken, kept, name }] of Object.entries(RULE_CASES)) {
    test(title, () => {
      const problems = problemsOf(broken, name);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.ok(problems[0]?.replace(/^[^ ]+: /, '').startsWith(says), problems[0]);
      assert.deepEqual(problemsOf(kept), []);
    });
  }
});

const nested = (levels: number): object =>
  Array.from({ length: levels }).reduce<object>((inner) => ({ a: inner }), {});

for (const [what, wrap] of Object.entries({
  config: (value: object) => ({ config: value }),
  podTemplate: (value: object) => ({ podTemplate: { spec: value } }),
  affinity: (value: object) => ({ affinity: value }),
})) {
  test(`refuses ${what} that is nested without an end, as the API server does not`, () => {
    assert.deepEqual(problemsOf(wrap(nested(64))), []);
    // As deep as the API server takes.
    for (const levels of [65, 9_000]) {
      const problems = problemsOf(wrap(nested(levels)));
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? '', /: is nested deeper than 64 levels$/);
    }
  });
}

test('every rule that needs no former value has a case', () => {
  const sentences = new Set<string>();
  const collect = (schema: OpenApiSchema) => {
    for (const { rule, message } of schema['x-kubernetes-validations'] ?? []) {
      if (!rule.includes('oldSelf')) sentences.add(message);
    }
    for (const field of Object.values(schema.properties ?? {})) collect(field);
    if (schema.items !== undefined) collect(schema.items);
  };
  collect(trackerSchema());
  const cases = Object.values(RULE_CASES);
  assert.deepEqual(
    [...sentences].filter((sentence) => !cases.some(({ says }) => sentence.startsWith(says))),
    [],
  );
  assert.equal(sentences.size, cases.length);
});

describe('also refuses', () => {
  const cases: Record<string, { spec: unknown; says: RegExp }> = {
    'a field that it does not know, wherever it is': {
      spec: { http: [{ name: 'a', port: 7070, tsl: {} }] },
      says: /^unknown field "spec\.http\[0\]\.tsl"$/,
    },
    'two routes of one listener': {
      spec: {
        exposure: {
          acknowledgeSourceNAT: true,
          gateway: {
            udpRoutes: [
              { listener: 'main', parentRefs: [{ name: 'a' }] },
              { listener: 'main', parentRefs: [{ name: 'b' }] },
            ],
          },
        },
      },
      says: /^spec\.exposure\.gateway\.udpRoutes\[1\]: Duplicate value: main$/,
    },
    'a port that needs privileges': {
      spec: { http: [{ name: 'a', port: 443 }] },
      says: /^spec\.http\[0\]\.port: .*1024/,
    },
    'a public URL with a password': {
      spec: { udp: [{ name: 'a', port: 6969, publicURL: 'udp://user:password@tracker.example' }] },
      says: /^spec\.udp\[0\]\.publicURL: /,
    },
  };
  for (const [title, { spec, says }] of Object.entries(cases)) {
    test(title, () => {
      const problems = problemsOf(spec);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', says);
    });
  }
});
