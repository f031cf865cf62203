/** Starts a load generator as a process of its own, pinned to a processor, and reads its result. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Runs `script` of this folder with `options` as JSON and resolves with the JSON that it prints. `T` is what the script
 * says it prints. Rejects when it fails.
 */
export async function runLoad<T>(script: string, cpu: string, options: object): Promise<T> {
  const path = join(import.meta.dirname, script);
  const args = ['--cpu-list', cpu, process.execPath, path, JSON.stringify(options)];
  try {
    const { stdout } = await run('taskset', args);
    // The script and its caller are written for each other.
    return JSON.parse(stdout) as T;
  } catch (cause) {
    const complaint = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : String(cause);
    throw new Error(`${script} failed: ${/^\w*Error.*$/m.exec(complaint)?.[0] ?? complaint}`, { cause });
  }
}
