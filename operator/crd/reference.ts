/**
 * The reference page of `TorrustTracker`, `docs/resource.md`: every field with its type, bounds and default, every rule,
 * every condition with its reasons. Made of the same schema as the CustomResourceDefinition.
 */
import { CONDITION_TYPES, REASONS } from './conditions.ts';
import { type OpenApiSchema, trackerSchema } from './definition.ts';
import { API_VERSION, KIND } from './tracker.ts';

/** The text of the page. */
export function renderReference(): string {
  const schema = trackerSchema();
  const { spec = {}, status = {} } = schema.properties ?? {};
  const parts = [
    introduction(),
    '## What is asked for',
    list(describeFields('spec', spec)),
    '## Rules',
    'A resource that breaks one of these is refused when it is applied, with the sentence that stands here.',
    list(describeRules('', schema)),
    '## What is told',
    list(describeFields('status', status)),
    '## Conditions',
    `Each has a status (\`True\`, \`False\`, \`Unknown\`), the generation of the spec that it is about, one of the reasons below, and a sentence that says what to do: ${CONDITION_TYPES.map((type) => `\`${type}\``).join(', ')}.`,
    list(Object.entries(REASONS).map(([reason, meaning]) => `\`${reason}\`: ${meaning}`)),
  ];
  return `${parts.join('\n\n')}\n`;
}

function introduction(): string {
  return `<!-- Written by operator/crd/generate.ts from the schema: change the schema, not this page. -->

# The resource ${KIND}

A \`${KIND}\` of \`${API_VERSION}\` is a tracker. Everything has a default, so that this is a public one:

\`\`\`yaml
apiVersion: ${API_VERSION}
kind: ${KIND}
metadata:
  name: public
\`\`\`

More are in [examples](examples/). \`kubectl explain torrusttracker.spec\` tells the same as this page.`;
}

function list(entries: readonly string[]): string {
  return entries.map((entry) => `- ${entry}`).join('\n');
}

/** One entry for each field below a schema, in the order of the schema. */
function describeFields(path: string, schema: OpenApiSchema): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const isList = field.type === 'array';
    const fieldPath = `${path}.${name}${isList ? '[]' : ''}`;
    const isMandatory = schema.required?.includes(name) === true;
    const traits = [
      typeOf(field),
      ...boundsOf(field),
      ...defaultOf(field),
      ...(isMandatory ? ['mandatory'] : []),
    ];
    const entry = `\`${fieldPath}\` (${traits.join(', ')}): ${field.description ?? ''}`.trimEnd();
    return [entry, ...describeFields(fieldPath, isList ? (field.items ?? {}) : field)];
  });
}

function typeOf(field: OpenApiSchema): string {
  if (field['x-kubernetes-int-or-string'] === true) return 'quantity';
  if (field.enum !== undefined) return field.enum.map((word) => `\`${String(word)}\``).join(' or ');
  if (field.type === 'array') return `list of ${field.items?.type ?? 'values'}s`;
  if (field['x-kubernetes-preserve-unknown-fields'] === true) return 'any fields';
  if (field.type === 'object' && field.additionalProperties !== undefined) return 'map';
  return field.type ?? '';
}

function boundsOf({ minimum, maximum, maxItems }: OpenApiSchema): string[] {
  if (maxItems !== undefined) return [`at most ${maxItems}`];
  if (minimum !== undefined && maximum !== undefined) return [`${minimum} to ${maximum}`];
  return [];
}

/** The default of a table is that of its fields. */
function defaultOf({ type, properties, default: value }: OpenApiSchema): string[] {
  const isTable = type === 'object' && properties !== undefined;
  return value === undefined || isTable ? [] : [`default \`${JSON.stringify(value)}\``];
}

/** One entry for each rule of a schema and of all below it. */
function describeRules(path: string, schema: OpenApiSchema): string[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ message }) =>
    path === '' ? message : `\`${path}\`: ${message}`,
  );
  const fields = Object.entries(schema.properties ?? {}).flatMap(([name, field]) =>
    describeRules(path === '' ? name : `${path}.${name}`, field),
  );
  return [...own, ...fields, ...(schema.items === undefined ? [] : describeRules(`${path}[]`, schema.items))];
}
