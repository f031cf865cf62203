/**
 * Which packages a command needs, and which of their files: what it imports, and all that those depend on. Their sources,
 * types, maps, tests and manuals stay out, and so do the binaries of other platforms.
 */
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';

/** The platform of an image. It runs Linux with the GNU C library. */
export interface Platform {
  /** As Node.js calls it: `x64`, `arm64`. */
  readonly arch: string;
}

/** The part of package.json that says what a package needs, and where it runs. */
interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

const LICENCE = /^(licen[cs]e|notice|copying)/i;
const USELESS_FILE =
  /\.(map|md|markdown|[cm]?ts|tsx|flow|c|cc|cpp|h|hpp|gyp|gypi|html|css|tgz|yml|patch)$|^(\.|Makefile|CHANGELOG|AUTHORS|tsconfig|rollup\.|webpack\.)|^tests?\.[cm]?js$/i;
const USELESS_FOLDERS = new Set([
  'test',
  'tests',
  '__tests__',
  'docs',
  'example',
  'examples',
  'bench',
  'benchmark',
  'benchmarks',
  'coverage',
  'man',
]);
const PREBUILT_FOLDER = 'prebuilds';

/**
 * The folders of the packages with these names and of all that they depend on, relative to `root`, in which node_modules is.
 * Throws when one that is needed is not there.
 */
export function packageFolders(root: string, names: Iterable<string>, platform: Platform): string[] {
  const found = new Set<string>();
  for (const name of names) visit(name, root);
  return [...found].map((folder) => relative(root, folder)).toSorted();

  function visit(name: string, importer: string): void {
    const folder = lookUp(name, importer, root);
    if (folder === undefined) throw new Error(`the package ${name} is not installed, for ${importer}`);
    if (found.has(folder)) return;
    found.add(folder);
    const manifest = readManifest(folder);
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = manifest;
    const peers = Object.keys(peerDependencies).filter(
      (peer) => manifest.peerDependenciesMeta?.[peer]?.optional !== true,
    );
    for (const needed of [...Object.keys(dependencies), ...peers]) {
      // Types are for compilers, even where a package says that it depends on them.
      if (!(needed in optionalDependencies) && !needed.startsWith('@types/')) visit(needed, folder);
    }
    for (const wished of Object.keys(optionalDependencies)) {
      const there = lookUp(wished, folder, root);
      if (there !== undefined && fits(readManifest(there), platform)) visit(wished, folder);
    }
  }
}

/** Copies a package without what only its developers and other platforms need. */
export function copyPackage(from: string, to: string, { arch }: Platform): void {
  cpSync(from, to, {
    recursive: true,
    filter: (path) => {
      const parts = relative(from, path).split(sep);
      const name = basename(path);
      // Packages inside of it are packages of their own.
      if (parts.includes('node_modules')) return false;
      if (parts.some((part) => USELESS_FOLDERS.has(part))) return false;
      const prebuilt = parts[parts.indexOf(PREBUILT_FOLDER) + 1];
      if (parts.includes(PREBUILT_FOLDER) && prebuilt !== undefined) {
        return prebuilt.split('.')[0] === `linux-${arch}`;
      }
      if (parts.some((part) => part.startsWith('musl_'))) return false;
      return path === from || LICENCE.test(name) || !USELESS_FILE.test(name);
    },
  });
}

/** Finds a package as Node.js does: beside the importer, then in every folder above it, up to `root`. */
function lookUp(name: string, importer: string, root: string): string | undefined {
  for (let folder = importer; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === root || folder === dirname(folder)) return undefined;
  }
}

function readManifest(folder: string): Manifest {
  // npm has checked these fields when it installed the package.
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

function fits({ os, cpu, libc }: Manifest, { arch }: Platform): boolean {
  const allows = (list: readonly string[] | undefined, value: string): boolean =>
    list === undefined || (!list.includes(`!${value}`) && (list.includes(value) || list[0]?.[0] === '!'));
  return allows(os, 'linux') && allows(cpu, arch) && allows(libc, 'glibc');
}
