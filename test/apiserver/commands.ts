/**
 * Runs kubectl and helm, with nothing of the user's own settings and caches.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BinaryName, findBinary } from './binaries.ts';

const DEADLINE_MILLIS = 60_000;
const execFileAsync = promisify(execFile);

/** How a program ended. */
export interface Ended {
  /** The exit status. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs one of the programs with arguments and, where there is one, a text on its standard input. `home` is the folder of its
 * settings and caches; the file `kubeconfig` in it says where the server is, if there is one.
 */
export async function runBinary(
  name: BinaryName,
  home: string,
  args: readonly string[],
  input = '',
): Promise<Ended> {
  const path = findBinary(name);
  assert(path !== undefined, `declare what the test needs before it runs ${name}`);
  const running = execFileAsync(path, args, {
    timeout: DEADLINE_MILLIS,
    maxBuffer: 64 * 1024 * 1024,
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      KUBECONFIG: join(home, 'kubeconfig'),
      // kubectl diff calls a program that may answer in the user's language.
      LC_ALL: 'C',
    },
  });
  running.child.stdin?.end(input);
  try {
    return { code: 0, ...(await running) };
  } catch (error) {
    // What execFile rejects with when the program ran: https://nodejs.org/api/child_process.html
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    if (typeof code !== 'number') throw error;
    return { code, stdout, stderr };
  }
}
