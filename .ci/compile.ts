/**
 * Compiles the commands to JavaScript: all that they and their threads import, each `.js` where its `.ts` is, or below another
 * folder. It is for the npm archive, since Node.js strips no types below node_modules, and for the images, which start in
 * half the time for it. In a checkout Node.js runs the sources as they are.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The root of the project. */
export const ROOT = join(import.meta.dirname, '..');
const COMPILER = join(ROOT, 'node_modules/typescript/bin/tsc');
const SETTINGS = join(ROOT, '.ci/tsconfig.commands.json');
/** What npm links as the commands: JavaScript in a checkout already. */
const SHIMS = '{tracker,operator}/cli/torrust-*.js';

/** Compiles into `folder`, or beside the sources. Throws when the compiler finds a mistake, which it has printed by then. */
export function compileCommands(folder?: string): void {
  const place = folder === undefined ? [] : ['--outDir', folder];
  execFileSync(process.execPath, [COMPILER, '--project', SETTINGS, ...place], { stdio: 'inherit' });
  if (folder === undefined) return;
  for (const shim of globSync(SHIMS, { cwd: ROOT })) {
    mkdirSync(dirname(join(folder, shim)), { recursive: true });
    copyFileSync(join(ROOT, shim), join(folder, shim));
  }
}
