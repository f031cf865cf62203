/**
 * Processes that outlive the command that started them: known by their id and the time of their start, so that another
 * process that got the same id is never taken for one of them. proc(5)
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { waitFor } from '../support/waiting.ts';

/** One process, now or in the past. */
export interface ProcessMark {
  readonly pid: number;
  /** When it started, in clock ticks since the machine did. */
  readonly startTicks: string;
}

/** The field of /proc/PID/stat with the start, counted from the one behind the name. */
const START_FIELD = 19;
const END_DEADLINE_MILLIS = 30_000;

/** Starts a program that goes on when this process ends, with its output in a file. */
export function startDetached(program: string, args: readonly string[], logFile: string): ProcessMark {
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  child.unref();
  // A program that can't be started is told by the process that is missing.
  child.on('error', () => {});
  const mark = child.pid === undefined ? undefined : markOf(child.pid);
  if (mark === undefined) throw new Error(`${program} did not start, see ${logFile}`);
  return mark;
}

/** The mark of a process; undefined when there is none of this id. */
export function markOf(pid: number): ProcessMark | undefined {
  const startTicks = statFields(pid)?.[START_FIELD];
  return startTicks === undefined ? undefined : { pid, startTicks };
}

/** Whether a process still runs. One that ended and was not waited for does not. */
export function isRunning({ pid, startTicks }: ProcessMark): boolean {
  const fields = statFields(pid);
  return fields !== undefined && fields[0] !== 'Z' && fields[START_FIELD] === startTicks;
}

/** Ends a process at once and waits for it; resolves too when it is gone already. */
export async function endProcess(mark: ProcessMark, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (isRunning(mark)) process.kill(mark.pid, signal);
  await waitFor(`the end of process ${mark.pid}`, () => !isRunning(mark), END_DEADLINE_MILLIS);
}

/** The children of a process. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** What proc(5) tells behind the name of the program, which may hold anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
