/**
 * Lays `spec.podTemplate` over the rendered pod: tables are merged, lists of named things (containers, volumes, variables...)
 * are merged by name as Kubernetes itself does, other lists are replaced, `null` removes. What a tracker must never
 * be is refused, since the schema can't look inside.
 */
import type { Problem } from '../crd/conditions.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { ANNOTATIONS, labelsOf } from './identity.ts';
import type { PodTemplate } from './kubernetes-object.ts';
import { isJsonObject, type JsonObject } from './merge-patch.ts';
import { dangersOf } from './pod-dangers.ts';

/** The fields by which entries of lists are told apart. */
const listKeys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
};

/** A pod template with its overrides, or what is wrong with them. */
export type OverriddenTemplate =
  | { readonly kind: 'template'; readonly template: PodTemplate }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

/** Lays the overrides of a tracker over its pods. */
export function overridePodTemplate(tracker: TorrustTracker, rendered: PodTemplate): OverriddenTemplate {
  const { metadata, spec } = tracker.spec.podTemplate ?? {};
  const merged = merge('', rendered.spec, spec ?? {});
  const problems = dangersOf(merged, metadata?.annotations ?? {}, rendered).map((what): Problem => ({
    condition: 'Degraded',
    reason: 'PodTemplateInvalid',
    message: `spec.podTemplate makes a pod that ${what}, which a tracker never is: take that out.`,
  }));
  if (problems.length > 0) return { kind: 'refused', problems };
  const ours = [...Object.keys(labelsOf(tracker)), ...Object.keys(rendered.metadata.labels)];
  return {
    kind: 'template',
    template: {
      metadata: {
        labels: { ...without(metadata?.labels ?? {}, ours), ...rendered.metadata.labels },
        annotations: { ...metadata?.annotations, ...rendered.metadata.annotations },
      },
      // Merged into the rendered spec: it still has its containers, unless they were removed, which is refused above.
      spec: merged as PodTemplate['spec'],
    },
  };
}

function without(labels: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).filter(([name]) => !names.includes(name) && name !== ANNOTATIONS.restartHash),
  );
}

/** Merges a value over another; `field` is the name under which both stand. */
function merge(field: string, target: unknown, patch: unknown): unknown {
  if (isJsonObject(patch)) {
    const result = new Map(isJsonObject(target) ? Object.entries(target) : []);
    for (const [name, value] of Object.entries(patch)) {
      if (value === null) result.delete(name);
      else result.set(name, merge(name, result.get(name), value));
    }
    return Object.fromEntries(result);
  }
  const key = listKeys[field];
  if (key === undefined || !isListOfTables(patch) || !isListOfTables(target)) return patch;
  const result = [...target];
  for (const entry of patch) {
    const index = result.findIndex((present) => present[key] === entry[key]);
    if (index < 0) result.push(entry);
    // Both are tables, and so is what they merge to.
    else result[index] = merge('', result[index], entry) as JsonObject;
  }
  return result;
}

function isListOfTables(value: unknown): value is readonly JsonObject[] {
  return Array.isArray(value) && value.every(isJsonObject);
}
