/**
 * The reconcile of one tracker: gather what is there, decide purely what is wanted, apply, prune, probe, tell in the status
 * how it is. Everything that it does can be done again without effect.
 */
import type { Problem } from '../crd/conditions.ts';
import { isHibernating, readTracker, type TorrustTracker } from '../crd/tracker.ts';
import { sortBelongings } from '../desired/belongings.ts';
import { type Desired, desiredObjects } from '../desired/desired.ts';
import type { Environment, Observed } from '../desired/environment.ts';
import { namesOf, selectorText } from '../desired/identity.ts';
import type { KubernetesObject } from '../desired/kubernetes-object.ts';
import { certificateUses, readSecrets } from '../desired/secret-uses.ts';
import { listAt, textAt } from '../json-path.ts';
import { makeMaterials, type Pair } from '../key-material.ts';
import type { KubeClient } from '../kube/client.ts';
import type { ReconcileResult } from '../kube/controller.ts';
import type { KubeLog } from '../kube/kube-log.ts';
import { type KubeObject, nameOfKey } from '../kube/kube-object.ts';
import { planProbe } from '../probe/plan.ts';
import type { Prober } from '../probe/prober.ts';
import { isLocal } from '../exposure-trouble.ts';
import { type StatusFacts, trackerStatus } from '../status.ts';
import { findWays } from '../ways.ts';
import { Applier } from './applier.ts';
import { isGrowing } from './claim-troubles.ts';
import { judgeIngressClass, judgeIssuers } from './class-verdicts.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { newest } from './event-times.ts';
import { describeGap, GapWatch, WHOLE } from './gaps.ts';
import { Gathering } from './gathering.ts';
import { Lookups } from './lookups.ts';
import { readOwnership, readService } from './observation.ts';
import { isReady, nodesWithout, runningPods } from './pod-facts.ts';
import { findTroubles } from './pod-troubles.ts';
import { judgeRoutes } from './route-verdicts.ts';
import { type Recorder, StatusWriter } from './status-writer.ts';
import { readWorkload } from './workload-facts.ts';

/** What a reconciler is made of. */
export interface ReconcilerOptions {
  readonly client: KubeClient;
  readonly cache: ClusterCache;
  readonly prober: Prober;
  readonly recorder: Recorder;
  readonly log: KubeLog;
  /** The operator and its cluster at this moment. */
  readonly environment: () => Environment;
  readonly operatorVersion: string;
  /** The API server judges every write and stores none. */
  readonly isDry: boolean;
}

/** What a user has to mend may be mended where nobody tells us: it is looked at again after this. */
const PROBLEM_SECONDS = 15;
/** Why a volume does not grow is told in events, which nobody watches. */
const GROWTH_SECONDS = 60;
/** Classes of Ingresses are not watched. */
const CLASS_SECONDS = 300;
/** What does not start is looked at again after a part of the time that it has taken. */
const START_FRACTION = 0.25;
const MIN_START_SECONDS = 5;
const MAX_START_SECONDS = 300;
/** What is due later than this is looked at earlier: timers do not reach that far. */
const MAX_REQUEUE_SECONDS = 6 * 3600;

/** What pods read when they start. */
const INPUT_KINDS: readonly string[] = ['ConfigMap', 'Secret', 'ServiceAccount'];

/** What applying came to. */
interface Outcome {
  /** The objects of the tracker as they are now. */
  readonly objects: readonly KubeObject[];
  readonly problems: readonly Problem[];
}

/** Reconciles trackers. */
export class TrackerReconciler {
  readonly #options: ReconcilerOptions;
  readonly #gathering: Gathering;
  readonly #lookups: Lookups;
  readonly #gaps = new GapWatch();
  readonly #applier: Applier;
  readonly #status: StatusWriter;

  constructor(options: ReconcilerOptions) {
    const { client, cache, recorder, log, isDry } = options;
    this.#options = options;
    this.#gathering = new Gathering(client, cache);
    this.#lookups = new Lookups(client);
    this.#applier = new Applier(client, cache, log, isDry);
    this.#status = new StatusWriter(client, cache, recorder, isDry);
  }

  /** Makes the world of the tracker `namespace/name` as it should be. Rejects when it has to be tried again. */
  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const { cache, environment, prober } = this.#options;
    const raw = cache.tracker(nameOfKey(key));
    if (raw === undefined || textAt(raw, 'metadata', 'deletionTimestamp') !== undefined) {
      this.#forget(key);
      return {};
    }
    const read = readStored(raw);
    if (read.kind === 'refused') {
      await this.#status.writeUnreadable(raw, read.problems, signal);
      return {};
    }
    const { tracker } = read;
    if (tracker.spec.paused) {
      await this.#status.write(raw, tracker, trackerStatus(tracker, this.#pausedFacts(tracker)), signal);
      return {};
    }
    const { namespace } = tracker.metadata;
    cache.setSecrets(
      key,
      readSecrets(tracker).map(({ name }) => ({ namespace, name })),
    );
    const env = environment();
    const observed = await this.#gathering.observe(tracker, signal);
    const desired = await this.#decide(tracker, env, observed);
    const applied = await this.#apply(tracker, desired, signal);
    const lacking = await this.#findLacking(tracker, desired, applied.objects, signal);
    const outcome = { objects: applied.objects, problems: [...applied.problems, ...lacking] };
    const facts = await this.#findFacts(key, tracker, env, desired, outcome, signal);
    // After a start of the operator, what was said of a tracker stands until it has been asked again.
    const isToBeConfirmed =
      prober.isWatching(key) && prober.report(key) === undefined && tracker.status?.probe !== undefined;
    if (!isToBeConfirmed) await this.#status.write(raw, tracker, trackerStatus(tracker, facts), signal);
    this.#tellGaps(key, raw, tracker);
    return { requeueAfterSeconds: requeueSeconds(tracker, desired, facts, outcome) };
  }

  #forget(key: string): void {
    this.#options.prober.forget(key);
    this.#gaps.forget(key);
    this.#options.cache.setSecrets(key, []);
  }

  /** Tells of long times in which no pod took traffic, when they have ended. */
  #tellGaps(key: string, raw: KubeObject, tracker: TorrustTracker): void {
    const { cache, recorder, isDry } = this.#options;
    if (isHibernating(tracker)) {
      this.#gaps.forget(key);
      return;
    }
    // A pod that is about to end answers until it is not ready any more.
    const ready = cache.podsOf(tracker.metadata).filter(isReady);
    const isOnNodes = tracker.spec.topology === 'HostNode';
    const places = ready.map((pod) => (isOnNodes ? (textAt(pod, 'spec', 'nodeName') ?? WHOLE) : WHOLE));
    const hasServed = !isOnNodes && (tracker.status?.readyReplicas ?? 0) > 0;
    const gaps = this.#gaps.note(key, {
      places: [...new Set(places)],
      hasServed,
      nowMillis: performance.now(),
    });
    if (isDry) return;
    for (const gap of gaps) {
      recorder.record(raw, { type: 'Warning', reason: 'LongGap', message: describeGap(gap) });
    }
  }

  /** The desired objects, with key material made for what is on order. */
  async #decide(tracker: TorrustTracker, environment: Environment, observed: Observed): Promise<Desired> {
    const desired = desiredObjects(tracker, environment, observed);
    if (desired.orders.length === 0) return desired;
    const authorities = new Map<string, Pair>();
    for (const [name, { data }] of observed.secrets) {
      authorities.set(name, { certificate: data.get('tls.crt') ?? '', key: data.get('tls.key') ?? '' });
    }
    const materials = await makeMaterials(desired.orders, authorities, environment.now);
    return desiredObjects(tracker, environment, observed, materials);
  }

  /** Applies what is wanted and deletes what no longer is; the workload comes last, when all that it reads is there. */
  async #apply(tracker: TorrustTracker, desired: Desired, signal: AbortSignal): Promise<Outcome> {
    const present = await this.#gathering.present(tracker, desired.objects, signal);
    const ownership = present.map(readOwnership);
    const belongings = sortBelongings(tracker, desired, ownership);
    const problems: Problem[] = [...belongings.problems];
    const objects: KubeObject[] = [];
    const apply = async (wanted: KubernetesObject): Promise<boolean> => {
      const there = present.find((object) => isSameObject(object, wanted));
      const applied = await this.#applier.apply(wanted, there, signal);
      if (applied.kind === 'applied') objects.push(applied.object);
      else problems.push(applied.problem);
      return applied.kind === 'applied';
    };
    const isWorkload = ({ apiVersion }: KubernetesObject) => apiVersion === 'apps/v1';
    const results = await Promise.allSettled(belongings.apply.filter((each) => !isWorkload(each)).map(apply));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    // A pod that starts before its configuration has changed would keep the old one, or run with somebody else's.
    const hasInputs = desired.objects
      .filter(({ kind }) => INPUT_KINDS.includes(kind))
      .every((input) => objects.some((object) => isSameObject(object, input)));
    if (hasInputs) for (const workload of belongings.apply.filter(isWorkload)) await apply(workload);
    for (const gone of belongings.prune) {
      const object = present.find(({ metadata: { uid } }) => uid === gone.uid);
      if (object !== undefined) await this.#applier.remove(object, signal);
    }
    return { objects, problems };
  }

  /** What the tracker names and the cluster does not have. */
  async #findLacking(
    tracker: TorrustTracker,
    { problems }: Desired,
    objects: readonly KubeObject[],
    signal: AbortSignal,
  ): Promise<Problem[]> {
    const ingress = objects.find(({ kind }) => kind === 'Ingress');
    const classes = ingress === undefined ? undefined : await this.#lookups.ingressClasses(signal);
    const isPending = problems.some(({ reason }) => reason === 'CertificatePending');
    const references = isPending
      ? certificateUses(tracker).flatMap(({ tls }) => tls.certManager?.issuerRef ?? [])
      : [];
    const issuers = await Promise.all(
      references.map((reference) => this.#lookups.issuer(reference, tracker.metadata.namespace, signal)),
    );
    const known = new Set(issuers.filter((issuer) => issuer !== undefined));
    return [
      ...(classes === undefined ? [] : judgeIngressClass(tracker, ingress, classes)),
      ...judgeIssuers([...known]),
    ];
  }

  /** Everything that the status is made of. */
  async #findFacts(
    key: string,
    tracker: TorrustTracker,
    { now, operatorNamespace, clusterRanges, nodes, ipFamilies }: Environment,
    desired: Desired,
    { objects, problems }: Outcome,
    signal: AbortSignal,
  ): Promise<StatusFacts> {
    const { prober, cache } = this.#options;
    const { namespace, name } = tracker.metadata;
    const pods = cache.podsOf({ namespace, name });
    const workload = this.#gathering.workload(tracker);
    const workloadFacts = workload === undefined ? undefined : readWorkload(workload);
    const services = objects.filter(({ kind }) => kind === 'Service');
    const publicServices = services.filter(
      ({ metadata }) => metadata.name !== namesOf(tracker).internalService,
    );
    // Outside the cluster the addresses of Services lead nowhere.
    const asked = operatorNamespace === undefined ? [] : publicServices.map(addressesOf);
    const asksSources = clusterRanges.length > 0 && isReachedFromOutside(tracker);
    prober.watch(key, planProbe(tracker, runningPods(pods), asked, ipFamilies, asksSources));
    const report = prober.report(key);
    const ways = findWays(tracker, publicServices.map(readService), await this.#nodes(tracker, pods, signal));
    return {
      // What is wrong with what an object hangs on comes before what is wrong with the object.
      problems: [...problems, ...desired.problems, ...judgeRoutes(objects)],
      workload: workloadFacts,
      troubles: await this.#findTroubles(tracker, workloadFacts, pods, objects, now, signal),
      ways,
      addressWarning: await this.#findAddressWarning(tracker, ways, publicServices, signal),
      emptyNodes: isLocal(tracker) ? nodesWithout(nodes, pods) : [],
      database: report?.database,
      certificates: desired.certificates,
      certificatesNeeded: certificateUses(tracker).length,
      probe: report?.probe,
      sources: asksSources ? report?.sources : undefined,
      isDatabaseEphemeral: tracker.spec.topology === 'HostNode' && tracker.spec.database?.mysql === undefined,
      configHash: desired.configHash,
      image: desired.image,
      operatorVersion: this.#options.operatorVersion,
      selector: selectorText(tracker),
      now,
    };
  }

  async #findTroubles(
    tracker: TorrustTracker,
    workload: StatusFacts['workload'],
    pods: readonly KubeObject[],
    objects: readonly KubeObject[],
    now: Date,
    signal: AbortSignal,
  ): Promise<StatusFacts['troubles']> {
    const isFine =
      workload !== undefined &&
      workload.isObserved &&
      workload.ready >= workload.wanted &&
      workload.updated >= workload.wanted;
    const claim = objects.find(isClaim);
    if ((isFine && !isGrowing(claim)) || isHibernating(tracker)) return [];
    const names = namesOf(tracker);
    const podNames = pods.map(({ metadata }) => metadata.name);
    // Replica sets are called after their Deployment, with a hash of their template.
    const isAbout = (name: string) =>
      name === names.workload ||
      name === names.claim ||
      podNames.includes(name) ||
      new RegExp(`^${names.workload}-[a-z0-9]{6,12}$`).test(name);
    const events = await this.#gathering.warnings(tracker.metadata.namespace, isAbout, signal);
    return findTroubles({ pods, claim, events, now });
  }

  /** What the cluster warned of a load balancer that gives no address. */
  async #findAddressWarning(
    tracker: TorrustTracker,
    ways: StatusFacts['ways'],
    services: readonly KubeObject[],
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (ways.every(({ address }) => address !== undefined)) return undefined;
    const names = services.map(({ metadata }) => metadata.name);
    const isAbout = (name: string) => names.includes(name);
    const events = await this.#gathering.warnings(tracker.metadata.namespace, isAbout, signal);
    return textAt(newest(events), 'message');
  }

  /** The addresses of the nodes with a pod, where clients go to nodes. */
  async #nodes(tracker: TorrustTracker, pods: readonly KubeObject[], signal: AbortSignal): Promise<string[]> {
    const { topology, exposure } = tracker.spec;
    if (topology !== 'HostNode' && exposure.type !== 'NodePort') return [];
    const placed = pods.flatMap((pod) => {
      const node = textAt(pod, 'spec', 'nodeName');
      return node === undefined ? [] : [{ pod, node }];
    });
    const addresses = await Promise.all(
      placed.map(async ({ pod, node }) => {
        const known = await this.#gathering.nodeAddresses(node, signal);
        const ofPod = textAt(pod, 'status', 'hostIP');
        return known.length > 0 || ofPod === undefined ? known : [ofPod];
      }),
    );
    return [...new Set(addresses.flat())];
  }

  /** While paused nothing is looked at. */
  #pausedFacts(tracker: TorrustTracker): StatusFacts {
    return {
      problems: [],
      workload: undefined,
      troubles: [],
      ways: [],
      addressWarning: undefined,
      emptyNodes: [],
      database: undefined,
      certificates: [],
      certificatesNeeded: 0,
      probe: undefined,
      sources: undefined,
      isDatabaseEphemeral: false,
      configHash: undefined,
      image: undefined,
      operatorVersion: this.#options.operatorVersion,
      selector: selectorText(tracker),
      now: this.#options.environment().now,
    };
  }
}

/** Reads a tracker as it is stored; a status that another version wrote, and that says nothing here, is none. */
function readStored(raw: KubeObject) {
  const read = readTracker(raw);
  if (read.kind === 'tracker') return read;
  const { status: _status, ...rest } = raw;
  return readTracker(rest);
}

function isClaim({ kind }: KubeObject): boolean {
  return kind === 'PersistentVolumeClaim';
}

function isSameObject(object: KubeObject, wanted: KubernetesObject): boolean {
  return (
    object.kind === wanted.kind &&
    object.apiVersion === wanted.apiVersion &&
    object.metadata.name === wanted.metadata.name
  );
}

/** Whether clients are to come from outside the cluster: of others, the addresses of pods are the right ones. */
function isReachedFromOutside({ spec: { topology, exposure } }: TorrustTracker): boolean {
  const { type, gateway, ingress } = exposure;
  return topology === 'HostNode' || type !== 'ClusterIP' || gateway !== undefined || ingress !== undefined;
}

/** The addresses of a Service inside the cluster. */
function addressesOf(service: KubeObject) {
  const addresses = listAt(service, 'spec', 'clusterIPs').filter((address) => typeof address === 'string');
  return { name: service.metadata.name, addresses: addresses.filter((address) => address !== 'None') };
}

/** When to look again though nothing happens; undefined for never. */
function requeueSeconds(
  tracker: TorrustTracker,
  { nextAt, certificates }: Desired,
  { workload, ways, now }: StatusFacts,
  { objects, problems }: Outcome,
): number | undefined {
  const ends = certificates.map(({ notAfter }) => notAfter).filter((end) => end > now);
  const dueSeconds = [...(nextAt === undefined ? [] : [nextAt]), ...ends].map(
    (time) => Math.max(0, time.getTime() - now.getTime()) / 1000,
  );
  if (problems.length > 0) dueSeconds.push(PROBLEM_SECONDS);
  if (isGrowing(objects.find(isClaim))) dueSeconds.push(GROWTH_SECONDS);
  if (tracker.spec.exposure.ingress !== undefined) dueSeconds.push(CLASS_SECONDS);
  const isStarting = workload === undefined || workload.ready < workload.wanted || workload.wanted === 0;
  const isWaiting = ways.some(({ address }) => address === undefined);
  if ((isStarting || isWaiting) && !isHibernating(tracker)) {
    const ready = tracker.status?.conditions?.find(({ type }) => type === 'Ready');
    const sinceMillis = ready === undefined ? 0 : now.getTime() - Date.parse(ready.lastTransitionTime);
    const seconds = (sinceMillis / 1000) * START_FRACTION;
    dueSeconds.push(Math.min(MAX_START_SECONDS, Math.max(MIN_START_SECONDS, seconds)));
  }
  return dueSeconds.length === 0 ? undefined : Math.min(MAX_REQUEUE_SECONDS, ...dueSeconds);
}
