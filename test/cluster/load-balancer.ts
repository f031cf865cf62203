/**
 * A load balancer in its simplest form: each Service of that type gets an address, and the fabric routes the address to a
 * node. Where the Service keeps the clients' addresses, that is a node with a ready pod of it, else any ready node.
 * https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer
 */
import type { ApiClient } from '../apiserver/client.ts';
import { listItems } from './api-list.ts';
import { FABRIC, LOAD_BALANCER_PREFIX, NODES } from './layout.ts';
import { routeTo } from './network.ts';
import { findSandbox, hasSandbox } from './sandbox.ts';

/** A Service in the parts that matter here. */
interface Service {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly spec: { readonly type: string; readonly externalTrafficPolicy?: string };
  readonly status: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } };
}

/** An EndpointSlice in the parts that matter here. */
interface EndpointSlice {
  readonly metadata: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  readonly endpoints?:
    | readonly {
        readonly nodeName?: string;
        readonly conditions: { readonly ready?: boolean; readonly serving?: boolean };
      }[]
    | null;
}

const MAX_ADDRESSES = 254;
/** Where each address leads by now, so that routes are only written when they change. */
const routes = new Map<string, string | undefined>();

/** Gives addresses to Services that have none, and makes every address lead to the right node. */
export async function balanceLoad(admin: ApiClient): Promise<void> {
  const services = await listItems<Service>(admin, '/api/v1/services');
  const balanced = services.filter(({ spec }) => spec.type === 'LoadBalancer');
  const slices =
    balanced.length === 0
      ? []
      : await listItems<EndpointSlice>(admin, '/apis/discovery.k8s.io/v1/endpointslices');
  const taken = new Set(balanced.flatMap(addressOf));
  for (const service of balanced) {
    const [address = freeAddress(taken)] = addressOf(service);
    if (!taken.has(address)) {
      taken.add(address);
      await tellAddress(admin, service, address);
    }
    await lead(address, nodeFor(service, slices));
  }
}

function addressOf({ status }: Service): string[] {
  return (status.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
}

function freeAddress(taken: ReadonlySet<string>): string {
  for (let last = 1; last <= MAX_ADDRESSES; last += 1) {
    const address = `${LOAD_BALANCER_PREFIX}.${last}`;
    if (!taken.has(address)) return address;
  }
  throw new Error('no address is left for another load balancer');
}

async function tellAddress(admin: ApiClient, { metadata }: Service, address: string): Promise<void> {
  const path = `/api/v1/namespaces/${metadata.namespace}/services/${metadata.name}/status`;
  const status = { loadBalancer: { ingress: [{ ip: address, ipMode: 'VIP' }] } };
  const answer = await admin.request('PATCH', path, { status }, 'application/merge-patch+json');
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
}

/** The address of the node that a Service's traffic goes to; undefined when there is none. */
function nodeFor({ metadata, spec }: Service, slices: readonly EndpointSlice[]): string | undefined {
  const running = NODES.filter(({ name }) => hasSandbox(name));
  if (spec.externalTrafficPolicy !== 'Local') return running[0]?.address;
  const endpoints = slices
    .filter((slice) => slice.metadata.namespace === metadata.namespace)
    .filter((slice) => slice.metadata.labels['kubernetes.io/service-name'] === metadata.name)
    .flatMap((slice) => slice.endpoints ?? []);
  const withReady = endpoints.filter(({ conditions }) => conditions.ready !== false);
  // A pod that is ending and still serves is better than none; kube-proxy thinks so too.
  const chosen = withReady.length > 0 ? withReady : endpoints.filter(({ conditions }) => conditions.serving);
  return running.find(({ name }) => chosen.some(({ nodeName }) => nodeName === name))?.address;
}

async function lead(address: string, node: string | undefined): Promise<void> {
  if (routes.has(address) && routes.get(address) === node) return;
  await routeTo(findSandbox(FABRIC.name), address, node);
  routes.set(address, node);
}
