/**
 * The compiled parts that the tracker's image has to hold. Packages bring them as optional packages or as one file for each
 * platform, and do without where none is there: it would show when the image runs.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Platform } from './packages.ts';

/** `e_machine` of ELF: the processor that a binary is for. */
const MACHINE_OFFSET = 18;
const MACHINES: Record<string, number> = { x64: 62, arm64: 183 };

/**
 * Throws when the packages below `folder` lack the binary of koffi or of better-sqlite3 for the platform, or when it is one
 * for another processor.
 */
export function requireNativeBinaries(folder: string, { arch }: Platform): void {
  const files = {
    koffi: `node_modules/@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`,
    'better-sqlite3': `node_modules/better-sqlite3/prebuilds/linux-${arch}.node`,
  };
  for (const [name, file] of Object.entries(files)) {
    const path = join(folder, file);
    if (!existsSync(path)) throw new Error(`the image lacks ${file}: ${name} is not installed for ${arch}`);
    const machine = readFileSync(path).readUInt16LE(MACHINE_OFFSET);
    if (machine !== MACHINES[arch])
      throw new Error(`${file} is not for ${arch}: its ELF machine is ${machine}`);
  }
}
