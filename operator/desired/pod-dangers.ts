/**
 * What no override may make of a tracker's pod: root, or a way out of its container or of its namespace. Whoever may write
 * a `TorrustTracker` has its pods made by the operator, so that the operator must not be the one that opens the node to him;
 * where the namespace enforces nothing, this is all that stands against it.
 *
 * It is the level "baseline", and of "restricted" what no tracker misses:
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
import type { PodTemplate } from './kubernetes-object.ts';
import { isJsonObject, type JsonObject } from './merge-patch.ts';

/** What "restricted" lets be added. */
const HARMLESS_CAPABILITIES: readonly unknown[] = ['NET_BIND_SERVICE'];
/** The types that "baseline" allows; an absent one is the runtime's. */
const CONFINED_SELINUX_TYPES: readonly unknown[] = [
  undefined,
  '',
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
];
const APP_ARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

/**
 * What is wrong with a pod: each the end of "makes a pod that". `spec` is the merged one, `annotations` the user's own,
 * `rendered` the pod before the override.
 */
export function dangersOf(
  spec: unknown,
  annotations: Readonly<Record<string, string>>,
  rendered: PodTemplate,
): string[] {
  if (!isJsonObject(spec)) return ['has no fields'];
  const found = [
    ...dangersOfPod(spec, rendered.spec),
    ...[spec, ...containersOf(spec)].flatMap((each) => dangersOfContext(each['securityContext'])),
    ...containersOf(spec).flatMap(({ ports }) =>
      tablesIn(ports).some(({ hostPort }) => isSet(hostPort)) ? ['takes a port of its node (hostPort)'] : [],
    ),
    ...rendered.spec.containers.flatMap(({ name }) => lossesOf(name, spec)),
    ...(Object.entries(annotations).some(
      ([name, value]) => name.startsWith(APP_ARMOR_ANNOTATION) && value === 'unconfined',
    )
      ? ['is not confined (AppArmor)']
      : []),
  ];
  return [...new Set(found)];
}

function dangersOfPod(spec: JsonObject, rendered: PodTemplate['spec']): string[] {
  const found: string[] = [];
  const has = tablesIn(spec['containers']);
  if (has.length === 0) found.push('leaves the pod without its container');
  for (const field of ['hostPID', 'hostIPC']) if (spec[field] === true) found.push(`sets ${field}`);
  // Only topology HostNode renders it.
  if (spec['hostNetwork'] === true && rendered['hostNetwork'] !== true) found.push('sets hostNetwork');
  // Another account of the namespace may do what the tracker's user may not: the operator's, for one.
  const accounts = { serviceAccountName: spec['serviceAccountName'], serviceAccount: spec['serviceAccount'] };
  for (const [field, account] of Object.entries(accounts)) {
    if (isSet(account) && account !== rendered['serviceAccountName']) {
      found.push(`runs under another account (${field})`);
    }
  }
  if (tablesIn(spec['volumes']).some(({ hostPath }) => isSet(hostPath))) {
    found.push('mounts a path of its node (hostPath)');
  }
  const context = spec['securityContext'];
  if (!isJsonObject(context) || context['runAsNonRoot'] !== true) {
    found.push('may run as root (securityContext.runAsNonRoot is not true)');
  }
  return found;
}

/** What the security context of a pod or a container gives it. */
function dangersOfContext(context: unknown): string[] {
  if (!isJsonObject(context)) return [];
  const found: string[] = [];
  if (context['runAsUser'] === 0) found.push('runs as root (runAsUser: 0)');
  if (context['runAsNonRoot'] === false) found.push('may run as root (runAsNonRoot: false)');
  if (context['privileged'] === true) found.push('is privileged');
  if (context['allowPrivilegeEscalation'] === true) {
    found.push('may gain privileges (allowPrivilegeEscalation)');
  }
  const added = listIn(tableIn(context, 'capabilities')['add']).filter(
    (name) => !HARMLESS_CAPABILITIES.includes(name),
  );
  if (added.length > 0) found.push(`has capabilities (${added.join(', ')})`);
  for (const field of ['seccompProfile', 'appArmorProfile']) {
    if (tableIn(context, field)['type'] === 'Unconfined') {
      found.push(`is not confined (${field}: Unconfined)`);
    }
  }
  if (isSet(context['procMount']) && context['procMount'] !== 'Default') {
    found.push('is not confined (procMount: Unmasked)');
  }
  const { type, user, role } = tableIn(context, 'seLinuxOptions');
  if (!CONFINED_SELINUX_TYPES.includes(type) || [user, role].some((each) => isSet(each) && each !== '')) {
    found.push('is not confined (seLinuxOptions)');
  }
  if (tableIn(context, 'windowsOptions')['hostProcess'] === true) {
    found.push('is a process of its node (hostProcess)');
  }
  return found;
}

/** What the operator's own container has lost: `null` removes as well. */
function lossesOf(name: string, spec: JsonObject): string[] {
  const container = tablesIn(spec['containers']).find((each) => each['name'] === name);
  if (container === undefined) return [];
  const context = tableIn(container, 'securityContext');
  const found: string[] = [];
  // The opposite is told with the contexts of all containers.
  if (typeof context['allowPrivilegeEscalation'] !== 'boolean') {
    found.push(`may gain privileges (${name} has lost allowPrivilegeEscalation: false)`);
  }
  if (!listIn(tableIn(context, 'capabilities')['drop']).includes('ALL')) {
    found.push(`has capabilities (${name} no longer drops ALL)`);
  }
  return found;
}

function containersOf(spec: JsonObject): readonly JsonObject[] {
  return ['initContainers', 'containers'].flatMap((field) => tablesIn(spec[field]));
}

/** Whether the API server would find a value there. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function tableIn(table: JsonObject, field: string): JsonObject {
  const value = table[field];
  return isJsonObject(value) ? value : {};
}

function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function tablesIn(value: unknown): readonly JsonObject[] {
  return listIn(value).filter(isJsonObject);
}
