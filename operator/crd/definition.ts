/**
 * The CustomResourceDefinition of `TorrustTracker`, made of its schema. It follows the rules of structural schemas:
 * no references, no alternatives, unknown fields pruned, every value of a known type.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
 */
import * as z from 'zod';
import { attachments } from './fields.ts';
import { trackerStatus } from './tracker-status.ts';
import { API_VERSION, GROUP, KIND, PLURAL, torrustTracker, VERSION } from './tracker.ts';
import { trackerSpec } from './tracker-spec.ts';

/** A schema of OpenAPI 3.0 as Kubernetes takes it. */
export interface OpenApiSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: readonly unknown[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  maxItems?: number;
  required?: string[];
  properties?: Record<string, OpenApiSchema>;
  items?: OpenApiSchema;
  additionalProperties?: OpenApiSchema | boolean;
  'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[];
  [extension: string]: unknown;
}

/** A column of `kubectl get`. */
interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 0 is always shown, 1 with `-o wide`. */
  readonly priority: 0 | 1;
}

function ofCondition(field: string): string {
  return `.status.conditions[?(@.type=="Ready")].${field}`;
}

const printerColumns: readonly PrinterColumn[] = [
  {
    name: 'Ready',
    type: 'string',
    jsonPath: ofCondition('status'),
    description: 'Whether it serves',
    priority: 0,
  },
  { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'Who is served', priority: 0 },
  {
    name: 'Replicas',
    type: 'integer',
    jsonPath: '.status.readyReplicas',
    description: 'Pods that are ready',
    priority: 0,
  },
  {
    name: 'Announce URL',
    type: 'string',
    jsonPath: '.status.announceURLs[0]',
    description: 'What to give to clients',
    priority: 0,
  },
  { name: 'Reason', type: 'string', jsonPath: ofCondition('reason'), description: 'Why', priority: 1 },
  { name: 'Message', type: 'string', jsonPath: ofCondition('message'), description: 'Why', priority: 1 },
  {
    name: 'Image',
    type: 'string',
    jsonPath: '.status.versions.image',
    description: 'What runs',
    priority: 1,
  },
  {
    name: 'Age',
    type: 'date',
    jsonPath: '.metadata.creationTimestamp',
    description: 'Since when',
    priority: 0,
  },
];

/** The definition, as an object that can be printed as YAML. */
export function trackerDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${PLURAL}.${GROUP}`,
      labels: { 'app.kubernetes.io/name': 'torrust-operator', 'app.kubernetes.io/part-of': 'torrust' },
    },
    spec: {
      group: GROUP,
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: KIND.toLowerCase(),
        shortNames: ['tt'],
        categories: ['torrust'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: printerColumns,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          schema: { openAPIV3Schema: withoutDefaultsInLists(trackerSchema()) },
        },
      ],
    },
  };
}

/** The schema of a whole resource, with the defaults of all its fields. */
export function trackerSchema(): OpenApiSchema {
  return {
    type: 'object',
    description: `A BitTorrent tracker (${API_VERSION}).`,
    properties: {
      apiVersion: { type: 'string', description: `Always ${API_VERSION}.` },
      kind: { type: 'string', description: `Always ${KIND}.` },
      metadata: { type: 'object' },
      spec: { description: 'What is asked for.', ...structural(trackerSpec), default: trackerSpec.parse({}) },
      status: { description: 'What is the case.', ...structural(trackerStatus) },
    },
    ...validationsOf(torrustTracker),
  };
}

/** The structural schema of a zod schema. */
function structural(schema: z.ZodType): OpenApiSchema {
  const converted = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    override: ({ zodSchema, jsonSchema }) => {
      const attached = attachments.get(asType(zodSchema));
      if (attached?.instead) {
        for (const name of Object.keys(jsonSchema)) if (name !== 'description') delete jsonSchema[name];
      }
      Object.assign(jsonSchema, attached?.openApi, validationsOf(asType(zodSchema)));
      // Kubernetes prunes what a structural schema does not name, and reports it with strict validation.
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      // The API server asks the rules about a default before it fills in the defaults of the fields.
      if ('default' in jsonSchema) jsonSchema.default = asType(zodSchema).parse(undefined);
    },
  });
  // The library describes every version of JSON Schema at once; with this target it makes OpenAPI's.
  return converted as OpenApiSchema;
}

/**
 * Leaves the defaults inside of lists to those who read the resource. A list is compared as a whole by client-side `kubectl
 * apply` and by tools of GitOps: an entry that the server fills up would differ from the file for ever.
 */
function withoutDefaultsInLists(schema: OpenApiSchema, isInList = false): OpenApiSchema {
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([name]) => name !== 'default' || !isInList)
      .map(([name, value]) => {
        // Both are what OpenAPI says that they are.
        if (name === 'items') return [name, withoutDefaultsInLists(value as OpenApiSchema, true)];
        if (name !== 'properties') return [name, value];
        const fields = Object.entries(value as Record<string, OpenApiSchema>);
        return [
          name,
          Object.fromEntries(fields.map(([key, field]) => [key, withoutDefaultsInLists(field, isInList)])),
        ];
      }),
  );
}

function validationsOf(schema: z.ZodType): Pick<OpenApiSchema, 'x-kubernetes-validations'> {
  const rules = attachments.get(schema)?.rules ?? [];
  if (rules.length === 0) return {};
  return { 'x-kubernetes-validations': rules.map(({ cel, message }) => ({ rule: cel, message })) };
}

/** The library hands out schemas by its core interface; all of ours are made by its classic classes. */
function asType(schema: unknown): z.ZodType {
  if (schema instanceof z.ZodType) return schema;
  throw new TypeError('a schema is expected');
}
