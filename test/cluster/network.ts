/**
 * The network between nodes, clients and the machine (layout.ts draws it): a sandbox with two bridges that routes, and a
 * pair of virtual interfaces for everyone who takes part. veth(4), ip-link(8)
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import {
  CONTROL,
  FABRIC,
  LOAD_BALANCER_PREFIX,
  MACHINE,
  NODES,
  type NodePlace,
  POD_RANGE,
  SERVICE_RANGE,
} from './layout.ts';
import { openSandbox, programPath, runIn, type Sandbox } from './sandbox.ts';

const execFileAsync = promisify(execFile);
/** The bridge of the nodes, and that of the clients. */
const INSIDE = 'inside';
const OUTSIDE = 'outside';

/** Makes the fabric. */
export async function openFabric(): Promise<Sandbox> {
  const fabric = await openSandbox(FABRIC.name);
  for (const [bridge, address] of [
    [INSIDE, FABRIC.address],
    [OUTSIDE, FABRIC.clientSide],
  ] as const) {
    await ipIn(fabric, `link add name ${bridge} type bridge`);
    await ipIn(fabric, `address add ${address}/24 dev ${bridge}`);
    await ipIn(fabric, `link set dev ${bridge} up`);
  }
  for (const node of NODES) await ipIn(fabric, `route add ${node.podRange} via ${node.address}`);
  return fabric;
}

/** Gives the machine its address, and the ways to what trackers are reached at. */
export async function plugInMachine(fabric: Sandbox): Promise<void> {
  const ip = (words: string) => execFileAsync(programPath('ip'), words.split(' '));
  await ip(`link add name ${MACHINE.interface} type veth peer name machine netns ${fabric.pid}`);
  await ipIn(fabric, `link set dev machine master ${INSIDE} up`);
  await ip(`address add ${MACHINE.address}/24 dev ${MACHINE.interface}`);
  await ip(`link set dev ${MACHINE.interface} up`);
  await ip(`route add ${LOAD_BALANCER_PREFIX}.0/24 via ${FABRIC.address}`);
  await ip(`route add ${POD_RANGE} via ${FABRIC.address}`);
  await ip(`route add ${SERVICE_RANGE} via ${NODES[0]?.address}`);
}

/** Plugs the control plane in. */
export async function plugInControl(fabric: Sandbox, control: Sandbox): Promise<void> {
  await plugIn(fabric, INSIDE, control.pid, control.name, `${CONTROL.address}/24`, FABRIC.address);
}

/** Plugs a node in: a way to the pods of the others, and its own pods leave the cluster under its address. */
export async function plugInNode(fabric: Sandbox, sandbox: Sandbox, node: NodePlace): Promise<void> {
  await plugIn(fabric, INSIDE, sandbox.pid, node.name, `${node.address}/24`, FABRIC.address);
  for (const other of NODES.filter(({ name }) => name !== node.name)) {
    await ipIn(sandbox, `route add ${other.podRange} via ${other.address}`);
  }
  const rule = `-t nat -A POSTROUTING -s ${node.podRange} ! -d ${POD_RANGE} -o eth0 -j MASQUERADE`;
  await runIn(sandbox, 'iptables', ['-w', ...rule.split(' ')]);
}

/** Plugs a client's network namespace in, given by a process in it. */
export async function plugInClient(fabric: Sandbox, pid: number, address: string): Promise<void> {
  const name = `client-${address.split('.').at(-1)}`;
  await plugIn(fabric, OUTSIDE, pid, name, `${address}/24`, FABRIC.clientSide);
}

/** Takes a node's cable out, or puts it back in. */
export async function setCable(fabric: Sandbox, nodeName: string, state: 'up' | 'down'): Promise<void> {
  await ipIn(fabric, `link set dev ${nodeName} ${state}`);
}

/** Makes an address of a load balancer lead to a node, or to nowhere. */
export async function routeTo(fabric: Sandbox, address: string, node: string | undefined): Promise<void> {
  if (node === undefined) await ipIn(fabric, `route replace unreachable ${address}/32`);
  else await ipIn(fabric, `route replace ${address}/32 via ${node}`);
}

async function plugIn(
  fabric: Sandbox,
  bridge: string,
  pid: number,
  port: string,
  address: string,
  gateway: string,
): Promise<void> {
  await ipIn(fabric, `link add name ${port} type veth peer name eth0 netns ${pid}`);
  await ipIn(fabric, `link set dev ${port} master ${bridge} up`);
  const inside = (words: string) =>
    execFileAsync(programPath('nsenter'), [
      `--target=${pid}`,
      '--net',
      programPath('ip'),
      ...words.split(' '),
    ]);
  await inside('link set lo up');
  await inside(`address add ${address} dev eth0`);
  await inside('link set dev eth0 up');
  await inside(`route add default via ${gateway}`);
}

async function ipIn(sandbox: Sandbox, words: string): Promise<void> {
  // From the machine's own process ids, which `netns PID` counts in, so the network alone is entered.
  await execFileAsync(programPath('nsenter'), [
    `--target=${sandbox.pid}`,
    '--net',
    programPath('ip'),
    ...words.split(' '),
  ]);
}
