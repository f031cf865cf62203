/**
 * Processes of pods, as the machine below the nodes sees them: known by their control group, which has the pod's uid in its
 * name. cgroups(7)
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { endProcess, markOf } from '../cluster/processes.ts';

/** What the program of our images is called. */
const PROGRAM = 'node';

/** Kills the process in a pod, as a lack of memory would, and waits for its end. */
export async function killPod(uid: string): Promise<void> {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (!isOf(pid, uid)) continue;
    const mark = markOf(Number(pid));
    if (mark !== undefined) await endProcess(mark);
  }
}

function isOf(pid: string, uid: string): boolean {
  try {
    return (
      readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`pod${uid}`) &&
      basename(readlinkSync(`/proc/${pid}/exe`)) === PROGRAM
    );
  } catch {
    return false; // It ended meanwhile.
  }
}
