/**
 * The kind `TorrustTracker`: its names, its type, and the reader that judges a resource as the API server would.
 */
import * as z from 'zod';
import { withRules } from './fields.ts';
import { trackerSpec } from './tracker-spec.ts';
import { trackerStatus } from './tracker-status.ts';

export const GROUP = 'tracker.torrust.com';
export const VERSION = 'v1alpha1';
export const KIND = 'TorrustTracker';
export const PLURAL = 'torrusttrackers';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** Long enough for people, short enough for the names of Services and for the label of a pod's revision. */
const MAX_NAME = 50;

/** The parts of an object's metadata that the operator reads. Others may be there. */
const metadata = withRules(
  z.looseObject({
    name: z.string().min(1),
    namespace: z.string().default('default'),
    uid: z.string().default(''),
    generation: z.int().default(1),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  [],
);

/** The rules about the whole object, which may read the name and nothing else of its metadata. */
const wholeRules = [
  {
    cel: `size(self.metadata.name) <= ${MAX_NAME} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')`,
    message: `metadata.name becomes part of the names of Services: use at most ${MAX_NAME} lower-case letters, digits and dashes, beginning with a letter and ending with a letter or digit`,
    holds: ({ metadata: { name } }: { readonly metadata: { readonly name: string } }) =>
      name.length <= MAX_NAME && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name),
  },
];

/** A whole resource. */
export const torrustTracker = withRules(
  z.strictObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(KIND),
    metadata,
    spec: trackerSpec.prefault({}),
    status: trackerStatus.optional(),
  }),
  wholeRules,
);

/** A tracker as the operator sees it: every default filled in. */
export type TorrustTracker = z.output<typeof torrustTracker>;

/** Whether a tracker is to have no pods at all. */
export function isHibernating({ spec }: TorrustTracker): boolean {
  return spec.hibernate || spec.replicas === 0;
}

/** What became of reading a resource. */
export type ReadTracker =
  | { readonly kind: 'tracker'; readonly tracker: TorrustTracker }
  /** Sentences, each of which begins with the path of the field. */
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

/** Reads a resource and fills in its defaults. It is refused as the API server would refuse it with strict validation. */
export function readTracker(raw: unknown): ReadTracker {
  const result = torrustTracker.safeParse(raw);
  if (result.success) return { kind: 'tracker', tracker: result.data };
  return { kind: 'refused', problems: result.error.issues.flatMap(describe) };
}

function describe(issue: z.core.$ZodIssue): string[] {
  const path = formatPath(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `unknown field "${formatPath([...issue.path, key])}"`);
  }
  return [`${path === '' ? '' : `${path}: `}${issue.message}`];
}

/** A path as Kubernetes prints it: `spec.udp[0].port`. */
function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((name, index) =>
      typeof name === 'number' ? `[${name}]` : `${index === 0 ? '' : '.'}${String(name)}`,
    )
    .join('');
}
