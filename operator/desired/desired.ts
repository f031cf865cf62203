/**
 * The complete list of objects that a tracker wants, as a pure function of its resource, the operator's environment and
 * what is there. The same input gives the same list, whatever the order of lists in the resource.
 *
 * What is wrong with a part keeps that part as it is (`kept`) and never the others: a mistake in `spec.config` leaves the
 * running pods alone.
 */
import type { Problem } from '../crd/conditions.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { type RenderedConfiguration, CONFIG_FILE, renderConfiguration } from './configuration.ts';
import type { Environment, Observed } from './environment.ts';
import { type Materials, planSecrets, type SecretOrder } from './generated-secrets.ts';
import { namesOf, ownedMetadata, selectorOf } from './identity.ts';
import type { KubernetesObject, ObjectReference } from './kubernetes-object.ts';
import { isJsonObject } from './merge-patch.ts';
import { monitoring } from './monitoring.ts';
import { networkPolicy } from './network-policy.ts';
import { restartHash } from './restart-hash.ts';
import { type OptionalObjects, routes } from './routes.ts';
import { certificateUses } from './secret-uses.ts';
import { type CertificateFacts, judgeSecrets } from './secret-verdicts.ts';
import { services } from './services.ts';
import { volumeClaim } from './volumes.ts';
import { wantedWorkload, workloadKind } from './workload.ts';

/** How long a connection id is accepted unless the configuration says another (BEP 15). */
const COOKIE_LIFETIME_SECONDS = 120;
/** With lenient validation. */
const LENIENT_LIFETIME_SECONDS = 1800;

/** What a tracker wants. */
export interface Desired {
  /** To be applied, in this order. */
  readonly objects: readonly KubernetesObject[];
  /** Objects that are to stay as they are, though they are not in the list. */
  readonly kept: readonly ObjectReference[];
  /** Key material that is to be made; then the list is to be asked for again, with it. */
  readonly orders: readonly SecretOrder[];
  readonly problems: readonly Problem[];
  readonly certificates: readonly CertificateFacts[];
  /** The hash of the configuration; undefined when it is not valid. */
  readonly configHash: string | undefined;
  /** The image of the pods; undefined when they are left as they are. */
  readonly image: string | undefined;
  /** When something will be due next, such as the rotation of a key. */
  readonly nextAt: Date | undefined;
}

/** Everything that a tracker wants. `materials` is what earlier orders were fulfilled with. */
export function desiredObjects(
  tracker: TorrustTracker,
  environment: Environment,
  observed: Observed,
  materials: Materials = new Map(),
): Desired {
  const names = namesOf(tracker);
  const configuration = renderConfiguration(tracker, environment);
  const lifetimeSeconds = connectionIdSeconds(configuration);
  const secrets = planSecrets(tracker, observed, lifetimeSeconds, environment.now, materials);
  const verdicts = judgeSecrets(tracker, observed, environment.now);
  const ways = routes(tracker, environment);
  const certificates = issuedCertificates(tracker, environment);

  const base = [
    serviceAccount(tracker),
    ...secrets.objects,
    ...certificates.objects,
    ...volumeClaim(tracker, observed),
  ];
  const around = [
    ...services(tracker),
    ...disruptionBudget(tracker),
    ...networkPolicy(tracker, environment),
    ...ways.objects,
    ...monitoring(tracker, environment),
  ];
  // Nobody waits for a certificate where there is no cert-manager.
  const ofSecrets = verdicts.problems.filter(
    ({ reason }) => reason !== 'CertificatePending' || certificates.problems.length === 0,
  );
  const problems = [...certificates.problems, ...ofSecrets, ...ways.problems];
  const common = { orders: secrets.orders, certificates: verdicts.certificates, nextAt: secrets.nextAt };
  const keptConfig = { apiVersion: 'v1', kind: 'ConfigMap', name: names.config };
  const keptWorkload = { apiVersion: 'apps/v1', kind: workloadKind(tracker), name: names.workload };

  if (configuration.kind === 'invalid') {
    return {
      ...common,
      objects: [...base, ...around],
      kept: [keptConfig, keptWorkload],
      problems: [...configuration.problems, ...problems],
      configHash: undefined,
      image: undefined,
    };
  }
  const config = configMap(tracker, configuration.toml);
  const hash = restartHash(tracker, configuration.tree, observed);
  const workload = wantedWorkload(tracker, environment, observed.workload, hash);
  if (workload.kind === 'refused') {
    return {
      ...common,
      objects: [...base, config, ...around],
      kept: [keptWorkload],
      problems: [...problems, ...workload.problems],
      configHash: configuration.hash,
      image: undefined,
    };
  }
  return {
    ...common,
    objects: [...base, config, ...around, workload.object],
    kept: [],
    problems,
    configHash: configuration.hash,
    image: workload.image,
  };
}

/** How long the tracker accepts a connection id; the longest time when the configuration can't be read. */
function connectionIdSeconds(configuration: RenderedConfiguration): number {
  if (configuration.kind === 'invalid') return LENIENT_LIFETIME_SECONDS;
  const { udp_tracker_server: server, udp_trackers: listeners } = configuration.tree;
  const isStrict = !isJsonObject(server) || (server['connection_id_validation'] ?? 'strict') === 'strict';
  const lifetimes = (Array.isArray(listeners) ? listeners : []).map((listener: unknown) => {
    const seconds = isJsonObject(listener) ? listener['cookie_lifetime'] : undefined;
    return typeof seconds === 'number' ? seconds : COOKIE_LIFETIME_SECONDS;
  });
  return Math.max(isStrict ? COOKIE_LIFETIME_SECONDS : LENIENT_LIFETIME_SECONDS, ...lifetimes);
}

function serviceAccount(tracker: TorrustTracker): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: ownedMetadata(tracker, namesOf(tracker).serviceAccount),
    automountServiceAccountToken: false,
  };
}

/** The one ConfigMap of the tracker. It changes in place, so that live keys are taken over without a restart. */
function configMap(tracker: TorrustTracker, toml: string): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: ownedMetadata(tracker, namesOf(tracker).config),
    data: { [CONFIG_FILE]: toml },
  };
}

/** A budget that never holds up the drain of a node. A DaemonSet can't have one, and no drain evicts its pods. */
function disruptionBudget(tracker: TorrustTracker): KubernetesObject[] {
  if (tracker.spec.topology === 'HostNode') return [];
  return [
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: ownedMetadata(tracker, namesOf(tracker).disruptionBudget),
      spec: {
        maxUnavailable: 1,
        unhealthyPodEvictionPolicy: 'AlwaysAllow',
        selector: { matchLabels: selectorOf(tracker) },
      },
    },
  ];
}

/** The Certificates that cert-manager is asked for. */
function issuedCertificates(tracker: TorrustTracker, { apis }: Environment): OptionalObjects {
  const objects: KubernetesObject[] = [];
  const problems: Problem[] = [];
  for (const { target, tls } of certificateUses(tracker)) {
    if (tls.certManager === undefined) continue;
    const name = namesOf(tracker).certificate(target);
    if (!apis.has('cert-manager.io/v1/Certificate')) {
      problems.push({
        condition: 'CertificatesReady',
        reason: 'APIMissing',
        message: `${name} is to be issued by cert-manager, which this cluster does not have: install it, or use secretName or selfSigned.`,
      });
      continue;
    }
    const { issuerRef, dnsNames } = tls.certManager;
    objects.push({
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: ownedMetadata(tracker, name),
      spec: { secretName: name, issuerRef, dnsNames, privateKey: { rotationPolicy: 'Always' } },
    });
  }
  return { objects, problems };
}
