/**
 * Writes what the charts take from the operator: the CustomResourceDefinition, the rules of its roles, and the schema of the
 * values that describe trackers.
 *
 * `node operator/chart-files.ts --write` writes the files, without the option they are printed. A test holds them current.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type OpenApiSchema, trackerSchema } from './crd/definition.ts';
import { type GeneratedFile, generatedFiles } from './crd/generate.ts';
import { type Permission, PERMISSIONS } from './permissions.ts';

const OPERATOR_CHART = 'charts/torrust-tracker-operator';

/** Every file of the charts that is generated. */
export function chartFiles(): GeneratedFile[] {
  return [
    ...generatedFiles()
      .filter(({ path }) => path.startsWith('crds/'))
      .map(({ path, text }) => ({ path: `${OPERATOR_CHART}/generated/${path}`, text })),
    { path: `${OPERATOR_CHART}/generated/rules.yaml`, text: rulesText() },
    {
      path: 'charts/torrust-tracker/values.schema.json',
      text: `${JSON.stringify(valuesSchema(), null, 1)}\n`,
    },
  ];
}

function rulesText(): string {
  const rules = {
    watched: rulesOf('watched'),
    own: rulesOf('own'),
    cluster: rulesOf('cluster'),
  };
  return `# Written by operator/chart-files.ts from operator/permissions.ts: change that, not this file.\n${stringify(rules, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

function rulesOf(scope: Permission['scope']): object[] {
  return PERMISSIONS.filter((permission) => permission.scope === scope).map(
    ({ group, resources, verbs }) => ({
      apiGroups: [group],
      resources,
      verbs,
    }),
  );
}

/** The values of the chart of trackers, as JSON Schema (draft 7), which Helm reads. */
function valuesSchema(): object {
  const spec = closed(trackerSchema().properties?.['spec'] ?? {});
  const texts = { type: 'object', additionalProperties: { type: 'string' } };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of torrust-tracker, written by operator/chart-files.ts',
    type: 'object',
    additionalProperties: false,
    properties: {
      global: { type: 'object' },
      trackers: {
        type: 'object',
        description: 'The specs of trackers, by their names.',
        propertyNames: { maxLength: 50, pattern: '^[a-z]([-a-z0-9]*[a-z0-9])?$' },
        additionalProperties: spec,
      },
      labels: texts,
      annotations: texts,
    },
  };
}

/** A structural schema without Kubernetes' own words, which refuses what it does not name, as strict validation does. */
function closed(schema: OpenApiSchema): object {
  const { properties, items, additionalProperties, ...more } = schema;
  const plain = Object.entries(more).filter(
    ([name]) => !name.startsWith('x-kubernetes-') && name !== 'default',
  );
  return {
    ...Object.fromEntries(plain),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, field]) => [name, closed(field)]),
          ),
          additionalProperties: false,
        }),
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(additionalProperties === undefined
      ? {}
      : {
          additionalProperties:
            typeof additionalProperties === 'boolean' ? additionalProperties : closed(additionalProperties),
        }),
  };
}

if (import.meta.main) {
  for (const { path, text } of chartFiles()) {
    if (!process.argv.includes('--write')) {
      process.stdout.write(text);
      continue;
    }
    const full = fileURLToPath(new URL(`../${path}`, import.meta.url));
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
}
