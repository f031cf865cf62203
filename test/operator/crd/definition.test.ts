import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type OpenApiSchema, trackerDefinition, trackerSchema } from '../../../operator/crd/definition.ts';
import { generatedFiles } from '../../../operator/crd/generate.ts';

const ROOT = join(import.meta.dirname, '../../..');

describe('is current (node operator/crd/generate.ts --write)', () => {
  for (const { path, text } of generatedFiles()) {
    test(path, () => assert.equal(readFileSync(join(ROOT, path), 'utf8'), text));
  }
});

/** Every schema below another one, with the way to it. */
function walk(path: string, schema: OpenApiSchema): { path: string; schema: OpenApiSchema }[] {
  return [
    { path, schema },
    ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => walk(`${path}.${name}`, field)),
    ...(schema.items === undefined ? [] : walk(`${path}[]`, schema.items)),
    ...(typeof schema.additionalProperties === 'object'
      ? walk(`${path}{}`, schema.additionalProperties)
      : []),
  ];
}

const { spec = {}, status = {} } = trackerSchema().properties ?? {};
const asked = walk('spec', spec);
const all = [...asked, ...walk('status', status)];

function paths(found: readonly { path: string }[]): string[] {
  return found.map(({ path }) => path);
}

describe('is a structural schema', () => {
  test('every value has a type', () => {
    const untyped = all.filter(
      ({ schema }) => schema.type === undefined && schema['x-kubernetes-int-or-string'] !== true,
    );
    assert.deepEqual(paths(untyped), []);
  });
  test('there are no references and no alternatives', () => {
    const words = [
      '$ref',
      'definitions',
      'oneOf',
      'anyOf',
      'allOf',
      'not',
      'patternProperties',
      'propertyNames',
    ];
    assert.deepEqual(paths(all.filter(({ schema }) => words.some((word) => word in schema))), []);
  });
  test('a table has either known fields or fields of one kind', () => {
    const both = all.filter(
      ({ schema }) => schema.properties !== undefined && schema.additionalProperties !== undefined,
    );
    assert.deepEqual(paths(both), []);
  });
});

describe('keeps rules cheap and words readable', () => {
  test('every text, list and map that is asked for has an upper bound', () => {
    const unbounded = asked.filter(({ schema }) => {
      if (schema.enum !== undefined) return false;
      if (schema.type === 'string') return schema.maxLength === undefined;
      return schema.type === 'array' && schema.maxItems === undefined;
    });
    assert.deepEqual(paths(unbounded), []);
  });
  test('every number that is asked for has bounds', () => {
    const unbounded = asked.filter(
      ({ schema }) =>
        ['integer', 'number'].includes(schema.type ?? '') &&
        (schema.minimum === undefined || schema.maximum === undefined),
    );
    assert.deepEqual(paths(unbounded), []);
  });
  test('every list says how it is merged', () => {
    const silent = all.filter(
      ({ schema }) => schema.type === 'array' && schema['x-kubernetes-list-type'] === undefined,
    );
    assert.deepEqual(paths(silent), []);
  });
  test('every field is described in a sentence', () => {
    const mute = all.filter(
      ({ path, schema }) =>
        !path.endsWith('[]') && !path.endsWith('{}') && !/[A-Z0-9a-z].*\.$/.test(schema.description ?? ''),
    );
    assert.deepEqual(paths(mute), []);
  });
});

test('kubectl shows whether it serves, whom, and where', () => {
  const [version] = trackerDefinition().spec.versions;
  const columns = version?.additionalPrinterColumns.filter(({ priority }) => priority === 0);
  assert.deepEqual(
    columns?.map(({ name }) => name),
    ['Ready', 'Mode', 'Replicas', 'Announce URL', 'Age'],
  );
});

test('a resource that says nothing is stored with every default', () => {
  assert.deepEqual(at(spec.default, 'exposure', 'externalTrafficPolicy'), 'Local');
  assert.deepEqual(at(spec.default, 'announce', 'intervalSeconds'), 300);
  assert.deepEqual(at(spec.default, 'database'), undefined);
});

function at(value: unknown, ...names: readonly string[]): unknown {
  // Only asked for names that a default may have.
  return names.reduce<unknown>((tree, name) => (tree as Record<string, unknown> | undefined)?.[name], value);
}
