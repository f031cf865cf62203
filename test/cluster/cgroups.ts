/**
 * Control groups of the nodes: a kubelet wants a group of its own in every hierarchy, and leaves groups of pods behind when
 * it is killed. cgroups(7), version 1 and 2.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODES } from './layout.ts';

const ROOT = '/sys/fs/cgroup';
/** What a kubelet asks for under version 2. */
const CONTROLLERS = ['cpu', 'cpuset', 'io', 'memory', 'pids', 'hugetlb'];

/** The group of a node, as its kubelet names it. */
export function cgroupName(node: string): string {
  return `torrust-tracker-cluster-${node}`;
}

/** Makes the groups of a node. */
export function createCgroups(node: string): void {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) enableControllers();
  for (const hierarchy of hierarchies()) {
    const group = join(hierarchy, cgroupName(node));
    mkdirSync(group, { recursive: true });
    // Under version 1 a group may use no processor until it is told which.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (existsSync(join(hierarchy, 'cgroup.controllers')) || !existsSync(join(group, file))) continue;
      writeFileSync(join(group, file), readFileSync(join(hierarchy, file)));
    }
  }
}

/** Removes the groups of all nodes, which have no process any more. */
export function removeCgroups(): void {
  for (const group of findCgroups()) removeTree(group);
}

/** The groups of nodes that are there. */
export function findCgroups(): string[] {
  return NODES.flatMap(({ name }) =>
    hierarchies().map((hierarchy) => join(hierarchy, cgroupName(name))),
  ).filter(existsSync);
}

/** The folders in which groups are made: one under version 2, one for each controller under version 1. */
function hierarchies(): string[] {
  const mounted = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, folder = '']) => folder);
  return [...new Set(mounted)];
}

function enableControllers(): void {
  const there = readFileSync(join(ROOT, 'cgroup.controllers'), 'utf8').trim().split(' ');
  for (const controller of CONTROLLERS.filter((each) => there.includes(each)))
    writeFileSync(join(ROOT, 'cgroup.subtree_control'), `+${controller}`);
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}
