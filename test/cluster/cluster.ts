/**
 * The whole cluster: up, down, and what would be left.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../support/waiting.ts';
import { startAddons, stopAddons } from './addon-process.ts';
import { findCgroups, removeCgroups } from './cgroups.ts';
import { openAdmin, startControlPlane } from './control-plane.ts';
import { productArchives, writePauseArchive } from './images.ts';
import { noteKernelSettings, restoreKernelSettings } from './kernel-settings.ts';
import { CONTROL, FABRIC, FOLDER, MACHINE, type NodePlace, NODES, VOLUMES_FOLDER } from './layout.ts';
import { mountsBelow, removeMountsBelow } from './mounts.ts';
import { openFabric, plugInControl, plugInMachine, plugInNode } from './network.ts';
import { loadImage, startContainerd, startKubelet } from './node.ts';
import { closeSandbox, findSandbox, hasSandbox, openSandbox, type Sandbox, sandboxNames } from './sandbox.ts';

const READY_DEADLINE_MILLIS = 120_000;

/** Says what is being done. */
export type Tell = (sentence: string) => void;

/** Whether a cluster runs on this machine. */
export function isClusterUp(): boolean {
  return hasSandbox(FABRIC.name) && hasSandbox(CONTROL.name);
}

/** Brings the cluster up: control plane, two nodes, storage and load balancer. Takes it away again when a step fails. */
export async function openCluster(tell: Tell): Promise<void> {
  if (sandboxNames().length > 0 || existsSync(FOLDER)) await closeCluster();
  mkdirSync(VOLUMES_FOLDER, { recursive: true });
  try {
    const archives = await productArchives(tell);
    noteKernelSettings();
    const fabric = await openFabric();
    await plugInMachine(fabric);
    const control = await openSandbox(CONTROL.name);
    await plugInControl(fabric, control);
    tell('the network is there');
    const pause = await writePauseArchive();
    const [sandboxes] = await Promise.all([
      Promise.all(NODES.map((node) => openNode(fabric, node, [pause, ...archives]))),
      startControlPlane(control),
    ]);
    tell('the API server answers');
    for (const [index, sandbox] of sandboxes.entries()) startKubelet(sandbox, nodeAt(index));
    startAddons();
    await awaitNodes(NODES);
    tell(`nodes ${NODES.map(({ name }) => name).join(' and ')} are ready`);
  } catch (error) {
    await closeCluster();
    throw error;
  }
}

/** Makes a node anew that was closed, with the images that it has, and waits until it is ready. */
export async function reopenNode(node: NodePlace): Promise<void> {
  const sandbox = await openNode(findSandbox(FABRIC.name), node, []);
  startKubelet(sandbox, node);
  await awaitNodes([node]);
}

/** Takes everything away. Rejects with what is left. */
export async function closeCluster(): Promise<void> {
  await stopAddons();
  await Promise.all(sandboxNames().map(closeSandbox));
  removeCgroups();
  restoreKernelSettings();
  removeMountsBelow(FOLDER);
  rmSync(FOLDER, { recursive: true, force: true, maxRetries: 5 });
  const left = findLeftovers();
  if (left.length > 0) throw new Error(`the cluster left behind: ${left.join('; ')}`);
}

/** What is there of a cluster: processes, mounts, interfaces, control groups, files. */
export function findLeftovers(): string[] {
  return [
    ...processesOfCluster().map((pid) => `process ${pid}`),
    ...mountsBelow(FOLDER).map((place) => `mount ${place}`),
    ...(MACHINE.interface in networkInterfaces() ? [`interface ${MACHINE.interface}`] : []),
    ...findCgroups().map((group) => `control group ${group}`),
    ...(existsSync(FOLDER) ? [`folder ${FOLDER}`] : []),
  ];
}

async function openNode(fabric: Sandbox, node: NodePlace, archives: readonly string[]): Promise<Sandbox> {
  const sandbox = await openSandbox(node.name);
  await plugInNode(fabric, sandbox, node);
  await startContainerd(sandbox, node);
  for (const archive of archives) await loadImage(sandbox, node, archive);
  return sandbox;
}

/** Waits until nodes are ready, and tells the cluster which addresses their pods have, as providers do. */
async function awaitNodes(places: readonly NodePlace[]): Promise<void> {
  const admin = openAdmin();
  try {
    for (const { name, podRange } of places) {
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name } };
      await waitFor(
        `${name} is ready`,
        async () => {
          // A Node, as the API server has it.
          const { conditions = [] } = ((await admin.get(node))?.['status'] ?? {}) as {
            conditions?: { type: string; status: string }[];
          };
          return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
        },
        READY_DEADLINE_MILLIS,
      );
      await admin.apply({ ...node, spec: { podCIDR: podRange, podCIDRs: [podRange] } });
    }
  } finally {
    await admin.close();
  }
}

/** Processes whose command line names the cluster's folder. */
function processesOfCluster(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && commandLine(pid).includes(`${FOLDER}/`));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(join('/proc', String(pid), 'cmdline'), 'utf8');
  } catch {
    return '';
  }
}

function nodeAt(index: number): NodePlace {
  const node = NODES[index];
  if (node === undefined) throw new Error(`there is no node ${index}`);
  return node;
}
