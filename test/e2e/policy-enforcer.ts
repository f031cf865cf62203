/**
 * Enforces NetworkPolicies on the nodes of our cluster, whose way of connecting pods knows none: rules of iptables(8) for the pods
 * of one namespace, as policies that admit by labels and addresses mean them. No enforcer of others could be had for the
 * cluster: kube-network-policies and kube-router are Go modules that Go's proxy did not give out here.
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from '../apiserver/client.ts';
import { listItems } from '../cluster/api-list.ts';
import { openAdmin } from '../cluster/control-plane.ts';
import { NODES } from '../cluster/layout.ts';
import { findSandbox, runIn } from '../cluster/sandbox.ts';
import type { Cleaning } from './world.ts';

type Labels = Readonly<Record<string, string>>;

interface Selector {
  readonly matchLabels?: Labels;
}

/** Who is admitted. */
interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string };
}

/** A NetworkPolicy in the parts that are enforced. */
interface Policy {
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes: readonly string[];
    readonly ingress?: readonly {
      readonly from?: readonly Peer[];
      readonly ports?: readonly { readonly port: number; readonly protocol: string }[];
    }[];
  };
}

/** A Pod or a Namespace in the parts that matter here. */
interface Labelled {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly spec?: { readonly nodeName?: string; readonly hostNetwork?: boolean };
  readonly status?: { readonly podIP?: string };
}

interface World {
  readonly namespace: string;
  readonly policies: readonly Policy[];
  readonly pods: readonly Labelled[];
  readonly namespaces: readonly Labelled[];
}

const CHAIN = 'E2E-POLICY';
const PAUSE_MILLIS = 500;

/** Enforces the policies of a namespace from now on, and as they change, until the tests have ended. Resolves when they are in force. */
export async function enforcePolicies(cleaning: Cleaning, namespace: string): Promise<void> {
  const admin = openAdmin();
  const inForce = new Map<string, string>();
  const stopping = new AbortController();
  await enforce(admin, namespace, inForce);
  for (const { name } of NODES) await onNode(name, 'iptables', '-w', '-I', 'FORWARD', '-j', CHAIN);
  const enforcing = (async () => {
    for (;;) {
      await delay(PAUSE_MILLIS, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      await enforce(admin, namespace, inForce);
    }
  })();
  cleaning.after(async () => {
    stopping.abort();
    await enforcing;
    await admin.close();
    for (const { name } of NODES) {
      await onNode(name, 'iptables', '-w', '-D', 'FORWARD', '-j', CHAIN);
      await onNode(name, 'iptables', '-w', '-F', CHAIN);
      await onNode(name, 'iptables', '-w', '-X', CHAIN);
    }
  });
}

/** Writes the rules of each node for which they have changed. */
async function enforce(admin: ApiClient, namespace: string, inForce: Map<string, string>): Promise<void> {
  const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
  const [policies, pods, namespaces] = await Promise.all([
    listItems<Policy>(admin, path),
    listItems<Labelled>(admin, '/api/v1/pods'),
    listItems<Labelled>(admin, '/api/v1/namespaces'),
  ]);
  for (const { name } of NODES) {
    const rules = rulesOf(name, { namespace, policies, pods, namespaces });
    if (inForce.get(name) === rules) continue;
    // A chain that is named anew is emptied and filled in one step.
    const script = `iptables-restore -w --noflush <<'END'\n${rules}\nEND`;
    await onNode(name, 'sh', '-c', script);
    inForce.set(name, rules);
  }
}

/** What iptables-restore(8) reads: who may pass goes back to the chain before, and what is left for a guarded pod is dropped. */
function rulesOf(node: string, world: World): string {
  const established = `-A ${CHAIN} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN`;
  const guarded = world.pods
    .filter(({ metadata, spec }) => metadata.namespace === world.namespace && spec?.nodeName === node)
    .filter(({ spec }) => spec?.hostNetwork !== true)
    .flatMap((pod) => {
      const address = pod.status?.podIP;
      const own = world.policies.filter(({ spec }) => isSelected(pod, spec.podSelector));
      if (address === undefined || own.length === 0) return [];
      return [
        ...own
          .flatMap((policy) => admitted(policy, world))
          .map((rule) => `-A ${CHAIN} -d ${address}${rule} -j RETURN`),
        `-A ${CHAIN} -d ${address} -j DROP`,
      ];
    });
  return ['*filter', `:${CHAIN} - [0:0]`, established, ...guarded, 'COMMIT'].join('\n');
}

/** The conditions of one policy under which a packet may pass. */
function admitted({ spec }: Policy, world: World): string[] {
  assert.deepEqual(spec.policyTypes, ['Ingress'], 'the enforcer knows policies of what comes in');
  return (spec.ingress ?? []).flatMap(({ from, ports }) => {
    const sources =
      from === undefined
        ? ['']
        : from.flatMap((peer) => addressesOf(peer, world)).map((each) => ` -s ${each}`);
    const targets = ports?.map(({ port, protocol }) => ` -p ${protocol.toLowerCase()} --dport ${port}`) ?? [
      '',
    ];
    return sources.flatMap((source) => targets.map((target) => source + target));
  });
}

function addressesOf({ ipBlock, namespaceSelector, podSelector }: Peer, world: World): string[] {
  if (ipBlock !== undefined) return [ipBlock.cidr];
  const names = world.namespaces
    .filter((each) =>
      namespaceSelector === undefined
        ? each.metadata.name === world.namespace
        : isSelected(each, namespaceSelector),
    )
    .map(({ metadata }) => metadata.name);
  return world.pods
    .filter(({ metadata }) => names.includes(metadata.namespace ?? ''))
    .filter((pod) => isSelected(pod, podSelector ?? {}))
    .flatMap(({ status }) => (status?.podIP === undefined ? [] : [status.podIP]));
}

function isSelected({ metadata }: Labelled, { matchLabels = {}, ...others }: Selector): boolean {
  assert.deepEqual(others, {}, 'the enforcer knows selectors with matchLabels');
  return Object.entries(matchLabels).every(([name, value]) => metadata.labels?.[name] === value);
}

async function onNode(name: string, program: string, ...args: string[]): Promise<void> {
  await runIn(findSandbox(name), program, args);
}
