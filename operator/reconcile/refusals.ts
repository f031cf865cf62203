/**
 * What to do about an object, or a pod, that the cluster refuses. Admission says in fixed words why, and each of them asks
 * for something else of the user; where none is known, the part of the resource that the object is made of is named.
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
 */

const WORKLOAD = 'See spec.podTemplate and spec.resources.';
const ADVICE: readonly { readonly said: RegExp; readonly advice: string }[] = [
  {
    said: /exceeded quota|status unknown for quota/i,
    advice:
      'Raise the ResourceQuota of the namespace, or ask for less: spec.resources, replicas, the size of the volume.',
  },
  {
    said: /failed quota/i,
    advice: 'The ResourceQuota wants every pod to say what it needs: set spec.resources.',
  },
  {
    said: /violates PodSecurity/,
    advice:
      "The namespace's Pod Security label forbids it: topology HostNode needs the label pod-security.kubernetes.io/enforce=privileged, every other tracker fits restricted unless spec.podTemplate adds to it.",
  },
  {
    said: /no PriorityClass/,
    advice: 'Create the PriorityClass, or correct spec.priorityClassName.',
  },
  {
    said: /RuntimeClass/,
    advice: 'Create the RuntimeClass, or correct spec.podTemplate.spec.runtimeClassName.',
  },
  {
    said: /(maximum|minimum) .+ usage per|limit to request ratio/i,
    advice: 'Fit spec.resources to the LimitRange of the namespace.',
  },
  {
    said: /being terminated/,
    advice: 'The namespace is being deleted: make the tracker in another one.',
  },
  {
    said: /cannot (create|patch|get|list|delete) resource/,
    advice: 'Give the operator the roles of its chart; `torrust-operator check` tells what it lacks.',
  },
  {
    said: /admission webhook|ValidatingAdmissionPolicy/,
    advice: 'A policy of this cluster forbids it: fit the resource to it, or ask who wrote the policy.',
  },
];

/** The part of the resource that objects of a kind are made of. */
const ORIGINS: Readonly<Record<string, string>> = {
  Deployment: WORKLOAD,
  StatefulSet: WORKLOAD,
  DaemonSet: WORKLOAD,
  Pod: WORKLOAD,
  Service: 'See spec.exposure and the ports of the listeners.',
  Ingress: 'See spec.exposure.ingress.',
  HTTPRoute: 'See spec.exposure.gateway.',
  UDPRoute: 'See spec.exposure.gateway.udpRoutes.',
  PersistentVolumeClaim:
    'See the size and the storageClassName in spec.database.sqlite or spec.swarm.snapshot.',
  Certificate: 'See certManager in the tls of the listener.',
  NetworkPolicy: 'See spec.networkPolicy.',
  ConfigMap: 'See spec.config.',
  ServiceMonitor: 'See spec.monitoring.',
  PrometheusRule: 'See spec.monitoring.',
};

/** What to do about what the cluster said of an object of a kind: one sentence, or an empty text. */
export function adviceOn(said: string, kind: string): string {
  return ADVICE.find((each) => each.said.test(said))?.advice ?? ORIGINS[kind] ?? '';
}
