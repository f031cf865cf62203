/**
 * Settings of the kernel that a kubelet changes for the whole machine: noted before, and put back afterwards.
 * https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (protectKernelDefaults)
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FOLDER } from './layout.ts';

const SETTINGS = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
];
const NOTE = join(FOLDER, 'kernel-settings.json');

/** Writes down how the kernel is set; once, so that a second start does not note what the first one changed. */
export function noteKernelSettings(): void {
  if (existsSync(NOTE)) return;
  writeFileSync(NOTE, JSON.stringify(Object.fromEntries(SETTINGS.map((name) => [name, read(name)]))));
}

/** Sets the kernel as it was noted. */
export function restoreKernelSettings(): void {
  for (const [name, value] of changedSettings()) writeFileSync(`/proc/sys/${name}`, value);
}

/** Settings that are not as they were noted, and what they were. */
function changedSettings(): (readonly [name: string, value: string])[] {
  if (!existsSync(NOTE)) return [];
  const noted = JSON.parse(readFileSync(NOTE, 'utf8')) as Record<string, string>; // Written by noteKernelSettings.
  return Object.entries(noted).filter(([name, value]) => read(name) !== value);
}

function read(name: string): string {
  return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
}
