/**
 * Puts together what the images hold beside their base: for each command the compiled files that it reaches and the
 * packages that those import. The Dockerfile runs it while it builds, and only copies the folders that it writes:
 *
 *     node .ci/image/assemble.ts FOLDER-OF-PACKAGES OUT
 *
 * The first has node_modules for the platform of the image, whose processor is in TARGETARCH as builders name it.
 */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { importsOf } from '../../test/house/sources.ts';
import { compileCommands, ROOT } from '../compile.ts';
import { requireNativeBinaries } from './native-binaries.ts';
import { copyPackage, packageFolders } from './packages.ts';

/** What an image is for. */
export const COMMANDS = {
  // knex loads the drivers by their names.
  tracker: { program: 'torrust-tracker', packages: ['better-sqlite3', 'mysql2'], besides: [] },
  // `--apply-definitions` reads the definitions, and trackers may ask for their dashboards.
  operator: {
    program: 'torrust-operator',
    packages: [],
    besides: ['crds', 'charts/torrust-tracker-operator/dashboards'],
  },
} as const;
export type CommandName = keyof typeof COMMANDS;

/** How a module names the module of a thread that it starts (tracker/worker-module.ts). */
const WORKER_MODULE = /\bworkerModule\('([^']+)', import\.meta\.url\)/g;
const ARCHITECTURES: Record<string, string> = { amd64: 'x64' };

/**
 * Writes `out/tracker` and `out/operator`, without types, tests, and packages that nothing imports, and `out/folders`. Throws
 * when a package that is needed, or a binary of one, is not there for the processor.
 */
export function assemble(packages: string, out: string, arch: string): void {
  const compiled = mkdtempSync(join(tmpdir(), 'torrust-compiled-'));
  try {
    compileCommands(compiled);
    for (const [name, { program, packages: loaded, besides }] of Object.entries(COMMANDS)) {
      const folder = join(out, name);
      const shim = `${name}/cli/${program}.js`;
      const { files, names } = reach(compiled, `${name}/cli/main.js`);
      for (const file of [shim, ...files]) cpSync(join(compiled, file), join(folder, file));
      for (const each of packageFolders(packages, [...names, ...loaded], { arch })) {
        copyPackage(join(packages, each), join(folder, each), { arch });
      }
      if (name === 'tracker') requireNativeBinaries(folder, { arch });
      for (const each of ['package.json', 'LICENSE', ...besides]) {
        cpSync(join(ROOT, each), join(folder, each), { recursive: true });
      }
      mkdirSync(join(folder, 'bin'));
      symlinkSync(`../${shim}`, join(folder, 'bin', program));
    }
    // Empty, for everything that a tracker keeps; with the mode that Torrust's containers give it.
    mkdirSync(join(out, 'folders/tracker'), { recursive: true });
    chmodSync(join(out, 'folders/tracker'), 0o2770);
  } finally {
    rmSync(compiled, { recursive: true, force: true });
  }
}

/** The compiled files that a file reaches, itself included, and the packages that they import. */
function reach(folder: string, entry: string): { files: Set<string>; names: Set<string> } {
  const files = new Set([entry]);
  const names = new Set<string>();
  // A set goes on with what is added while it is walked.
  for (const path of files) {
    const text = readFileSync(join(folder, path), 'utf8');
    for (const { kind, target } of importsOf({ path, text })) {
      if (kind === 'source') files.add(target);
      else if (!target.startsWith('node:')) names.add(target);
    }
    for (const [, module] of text.matchAll(WORKER_MODULE)) {
      files.add(`${posix.join(dirname(path), module ?? '')}.js`);
    }
  }
  return { files, names };
}

if (import.meta.main) {
  const [packages, out] = process.argv.slice(2);
  if (packages === undefined || out === undefined) throw new Error('name the folder of packages, and OUT');
  const target = process.env['TARGETARCH'] ?? '';
  assemble(packages, out, ARCHITECTURES[target] ?? (target === '' ? process.arch : target));
}
