/**
 * Reads raw objects of the API server into what the pure parts of the operator look at.
 */
import type { PresentObject } from '../desired/belongings.ts';
import type {
  ObservedClaim,
  ObservedSecret,
  ObservedWorkload,
  WorkloadKind,
} from '../desired/environment.ts';
import { ANNOTATIONS } from '../desired/identity.ts';
import type { PodTemplate } from '../desired/kubernetes-object.ts';
import type { KubeObject } from '../kube/kube-object.ts';
import type { ServiceFacts } from '../ways.ts';
import { isTable, listAt, numberAt, textAt, textTableAt, valueAt } from '../json-path.ts';

const WORKLOAD_KINDS: readonly string[] = ['Deployment', 'StatefulSet', 'DaemonSet'] satisfies WorkloadKind[];

/** A Secret with its values decoded. */
export function readSecret(object: KubeObject): ObservedSecret {
  const data = Object.entries(textTableAt(object, 'data')).map(([key, encoded]): [string, string] => [
    key,
    Buffer.from(encoded, 'base64').toString(),
  ]);
  return { data: new Map(data), annotations: textTableAt(object, 'metadata', 'annotations') };
}

/** A volume claim. */
export function readClaim(object: KubeObject): ObservedClaim {
  return {
    size: textAt(object, 'spec', 'resources', 'requests', 'storage') ?? '0',
    storageClassName: textAt(object, 'spec', 'storageClassName'),
  };
}

/** What a workload was last rendered as; undefined for an object of another kind. */
export function readRendering(object: KubeObject): ObservedWorkload | undefined {
  if (!isWorkloadKind(object.kind)) return undefined;
  const annotations = textTableAt(object, 'metadata', 'annotations');
  return {
    kind: object.kind,
    renderedFor: annotations[ANNOTATIONS.renderedFor],
    recordedTemplate: readTemplate(annotations[ANNOTATIONS.podTemplate]),
  };
}

function isWorkloadKind(kind: string): kind is WorkloadKind {
  return WORKLOAD_KINDS.includes(kind);
}

/** Reads a recorded template; undefined for what is none, as after an edit by hand. */
function readTemplate(text: string | undefined): PodTemplate | undefined {
  try {
    const template: unknown = JSON.parse(text ?? '');
    const isTemplate =
      isTable(valueAt(template, 'metadata', 'labels')) &&
      isTable(valueAt(template, 'metadata', 'annotations')) &&
      listAt(template, 'spec', 'containers').length > 0;
    // Checked just above, as far as the operator reads it; the API server judges the rest.
    return isTemplate ? (template as PodTemplate) : undefined;
  } catch {
    return undefined;
  }
}

/** The parts of an object that say whose it is. */
export function readOwnership(object: KubeObject): PresentObject {
  const { apiVersion, kind, metadata } = object;
  return {
    apiVersion,
    kind,
    name: metadata.name,
    uid: metadata.uid ?? '',
    labels: metadata.labels ?? {},
    ownerUids: listAt(metadata, 'ownerReferences').map((owner) => textAt(owner, 'uid') ?? ''),
  };
}

/** A Service, as far as ways lead over it. */
export function readService(object: KubeObject): ServiceFacts {
  const ports = listAt(object, 'spec', 'ports').flatMap((port): [string, number][] => {
    const nodePort = numberAt(port, 'nodePort');
    return nodePort === undefined ? [] : [[textAt(port, 'name') ?? '', nodePort]];
  });
  return {
    name: object.metadata.name,
    ingress: listAt(object, 'status', 'loadBalancer', 'ingress').flatMap(
      (entry) => textAt(entry, 'ip') ?? textAt(entry, 'hostname') ?? [],
    ),
    nodePorts: new Map(ports),
  };
}
