/**
 * Values for which the charts are rendered: each of the operator's turns on or off what the others leave.
 */
import { readExamples } from '../operator/examples.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

/** By what they are for. */
export const OPERATOR_VALUES: Record<string, object> = {
  'what it says by itself': {},
  'chosen namespaces': { namespaces: ['team-a', 'team-b'] },
  'chosen namespaces, and no right on anything of the whole cluster': {
    namespaces: ['team-a'],
    rbac: { nodes: false, aggregate: false },
    crds: { enabled: false },
  },
  'a machine of one': {
    replicas: 1,
    leaderElection: { enabled: false },
    podDisruptionBudget: { enabled: false },
    networkPolicy: { enabled: false },
    crds: { keep: false },
  },
  'images by digest, from elsewhere': {
    image: {
      repository: 'registry.example:5000/operator',
      digest: DIGEST,
      pullPolicy: 'Always',
      pullSecrets: [{ name: 'regcred' }],
    },
    trackerImage: {
      repository: 'registry.example:5000/tracker',
      tag: '1.2.3',
      digest: DIGEST,
      pullPolicy: 'Never',
    },
  },
  'everything that watches it': {
    serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
    rules: { enabled: true, labels: { release: 'prometheus' } },
    dashboards: { enabled: true, annotations: { folder: 'torrust' } },
    networkPolicy: { metricsFrom: [{ podSelector: { matchLabels: { app: 'prometheus' } } }] },
  },
  'everything about pods': {
    labels: { team: 'seeds' },
    podLabels: { mesh: 'off' },
    podAnnotations: { 'example.com/a': 'b' },
    priorityClassName: 'system-cluster-critical',
    nodeSelector: { disk: 'ssd' },
    tolerations: [{ key: 'infra', operator: 'Exists' }],
    affinity: { nodeAffinity: {} },
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} },
    ],
    extraArgs: ['--dry-run'],
    extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy.example:3128' }],
    resources: {},
    log: { level: 'debug' },
  },
  'names and accounts of others': {
    fullnameOverride: 'trackers',
    serviceAccount: { create: false, name: 'robot' },
    rbac: { create: false },
    selftest: { namespace: 'team-b' },
  },
};

interface Example {
  readonly metadata: { readonly name: string };
  readonly spec?: object;
}

/** The examples as values of the chart of trackers: their specs, by their names. */
export function trackersOf(folder: '.' | 'refused', file?: string): Record<string, object> {
  const chosen = readExamples(folder).filter(({ name }) => file === undefined || name === file);
  return Object.fromEntries(
    chosen.map(({ resource }) => {
      const { metadata, spec } = resource as Example; // Checked by the tests of the examples.
      return [metadata.name, spec ?? {}];
    }),
  );
}
