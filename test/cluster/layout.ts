/**
 * Where everything of the cluster is: one folder on the machine, and addresses that exist nowhere else.
 *
 *     clients (network namespaces)       198.51.100.0/24   TEST-NET-2, RFC 5737
 *            │
 *       fabric (routes)                  192.168.77.254, 198.51.100.254
 *            │ bridge
 *     ┌──────┼──────────┬──────────┐
 *  machine control    node-1     node-2  192.168.77.253, .1, .11, .12
 *                       │          │
 *                     pods       pods    10.244.1.0/24, 10.244.2.0/24
 *
 * Addresses of load balancers are of 198.18.77.0/24 (benchmarks, RFC 2544); the fabric routes each to a node.
 */
import { join } from 'node:path';

/** All that the cluster keeps. It must not lie below /run, which every node has for itself. */
export const FOLDER = process.env['TORRUST_CLUSTER_FOLDER'] || '/var/lib/torrust-tracker-cluster';
/** The administrator's kubeconfig. */
export const KUBECONFIG = join(FOLDER, 'kubeconfig');
/** Archives of images. */
export const IMAGES_FOLDER = join(FOLDER, 'images');
/** Volumes of pods: the same for both nodes, as storage in the network is. */
export const VOLUMES_FOLDER = join(FOLDER, 'volumes');
/** What the daemons wrote. */
export const LOGS_FOLDER = join(FOLDER, 'logs');

/** The network that joins clients and nodes. */
export const FABRIC = { name: 'fabric', address: '192.168.77.254', clientSide: '198.51.100.254' } as const;
/** Where the API server runs. */
export const CONTROL = { name: 'control', address: '192.168.77.1' } as const;
/** The machine itself: an interface of its own, so that a user reaches the API server and the trackers. */
export const MACHINE = { interface: 'ttc-machine', address: '192.168.77.253' } as const;
/** Addresses of all nodes. */
export const NODE_RANGE = '192.168.77.0/24';
/** Addresses of all pods. */
export const POD_RANGE = '10.244.0.0/16';
/** Addresses of Services inside the cluster. */
export const SERVICE_RANGE = '10.96.0.0/16';
/** The first three numbers of the addresses of load balancers. */
export const LOAD_BALANCER_PREFIX = '198.18.77';

/** A node of the cluster. */
export interface NodePlace {
  readonly name: string;
  readonly address: string;
  readonly podRange: string;
}

/** The nodes. */
export const NODES: readonly NodePlace[] = [1, 2].map((number) => ({
  name: `node-${number}`,
  address: `192.168.77.${10 + number}`,
  podRange: `10.244.${number}.0/24`,
}));

/** The API server, as everyone but pods reaches it. */
export const API_SERVER_URL = `https://${CONTROL.address}:6443`;
