/**
 * Mounts on the machine itself below a folder: nodes have theirs for themselves, programs that build images may leave some.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { programPath } from './sandbox.ts';

/** Where something is mounted at or below a folder, the innermost first. proc_pid_mounts(5) */
export function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((place) => place === folder || place.startsWith(`${folder}/`))
    .toReversed();
}

/** Takes them away. */
export function removeMountsBelow(folder: string): void {
  for (const place of mountsBelow(folder)) execFileSync(programPath('umount'), [place]);
}
