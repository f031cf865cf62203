/**
 * The processors that the tracker may use: those that the system lets the process run on, and no more than the CPU quota
 * of its container. Kubernetes gives the quota of `resources.limits.cpu` to a control group, of version 2 or 1; Node.js
 * does not take it into account wherever the groups are mounted, so it is read here (cgroups(7), proc_pid_mountinfo(5)).
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

/** Reads a file as text; undefined when there is none. */
type ReadText = (path: string) => string | undefined;

/** Whole processors that the tracker may keep busy, at least one. */
export function usableProcessors(
  processors: number = availableParallelism(),
  readText: ReadText = readSystemFile,
): number {
  return Math.max(1, Math.min(processors, Math.floor(quotaOf(readText))));
}

/** The smallest quota of the control groups that the process is in, in processors; infinite without one. */
function quotaOf(readText: ReadText): number {
  const mounts = readMounts(readText('/proc/self/mountinfo') ?? '');
  let quota = Infinity;
  for (const line of (readText('/proc/self/cgroup') ?? '').split('\n')) {
    // hierarchy:controllers:path; version 2 names no controllers.
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    if (controllers !== '' && !controllers.split(',').includes('cpu')) continue;
    const isVersion2 = controllers === '';
    const mount = mounts.find((each) => each.isVersion2 === isVersion2);
    if (mount === undefined) continue;
    const readQuota = isVersion2 ? readQuota2 : readQuota1;
    // A limit of a group above counts as well.
    for (let folder = folderOf(mount, path); folder.startsWith(mount.folder); folder = dirname(folder)) {
      quota = Math.min(quota, readQuota(folder, readText));
      if (folder === mount.folder) break;
    }
  }
  return quota;
}

interface Mount {
  readonly isVersion2: boolean;
  /** The group that is seen at `folder`. */
  readonly root: string;
  readonly folder: string;
}

/** Where groups that have the CPU controller are mounted. */
function readMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [own, system = ''] = line.split(' - ');
    const [, , , root, folder] = (own ?? '').split(' ');
    const [type, , options = ''] = system.split(' ');
    const isVersion2 = type === 'cgroup2';
    const isVersion1 = type === 'cgroup' && options.split(',').includes('cpu');
    if (root === undefined || folder === undefined || (!isVersion2 && !isVersion1)) return [];
    return [{ isVersion2, root, folder }];
  });
}

/** The folder of a group. A container may see the path of its group on the host, and only the group itself mounted. */
function folderOf({ root, folder }: Mount, path: string): string {
  if (root === '/' || root === path) return join(folder, path === root ? '' : path);
  return path.startsWith(`${root}/`) ? join(folder, path.slice(root.length)) : folder;
}

function readQuota2(folder: string, readText: ReadText): number {
  const [quota, period] = (readText(join(folder, 'cpu.max')) ?? '').split(' ').map(Number);
  return ratio(quota, period);
}

function readQuota1(folder: string, readText: ReadText): number {
  const read = (name: string): number => Number(readText(join(folder, name)) ?? '');
  return ratio(read('cpu.cfs_quota_us'), read('cpu.cfs_period_us'));
}

/** `max` and -1 stand for no quota. */
function ratio(quota = Number.NaN, period = Number.NaN): number {
  return quota > 0 && period > 0 ? quota / period : Infinity;
}

function readSystemFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
