/**
 * Builds a base for the images from what this machine and the checkout have, for places without a registry: the Node.js of
 * node_modules, the libraries that it is linked to, and the certificates of authorities. There is no shell in it.
 *
 *     node .ci/image/local-base.ts [tag]
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { buildImage, type Engine, requireEngine } from './engine.ts';

/** Its name, which says that it is of this machine. */
export const LOCAL_BASE = 'localhost/torrust-node-base:24';

/** Parts of the GNU C library that add-ons may be linked to, though Node.js is not. */
const FURTHER_LIBRARIES = ['librt.so.1', 'libresolv.so.2', 'libutil.so.1'];
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
const DOCKERFILE = `FROM scratch
COPY rootfs /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
`;
const FILES: Record<string, string> = {
  'etc/passwd':
    'root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n',
  'etc/group': 'root:x:0:\nnogroup:x:65534:\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

/** Builds it. Throws when this is no Linux with ldd, or when the engine fails. */
export function buildLocalBase(engine: Engine, tag: string = LOCAL_BASE): void {
  const folder = mkdtempSync(join(tmpdir(), 'torrust-base-'));
  try {
    const root = join(folder, 'rootfs');
    const libraries = librariesOf(process.execPath);
    const libc = libraries.find((path) => basename(path) === 'libc.so.6');
    if (libc === undefined) throw new Error('this Node.js is not linked to the GNU C library');
    const further = FURTHER_LIBRARIES.map((name) => join(dirname(libc), name));
    for (const path of [...libraries, ...further.filter((each) => existsSync(each))])
      copyInto(root, path, path);
    copyInto(root, process.execPath, '/usr/local/bin/node');
    chmodSync(join(root, 'usr/local/bin/node'), 0o755);
    if (existsSync(CERTIFICATES)) copyInto(root, CERTIFICATES, CERTIFICATES);
    for (const [path, text] of Object.entries(FILES)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    mkdirSync(join(root, 'tmp'));
    chmodSync(join(root, 'tmp'), 0o1777);
    writeFileSync(join(folder, 'Dockerfile'), DOCKERFILE);
    buildImage(engine, { tag, file: join(folder, 'Dockerfile'), context: folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The libraries that a program is linked to, its loader included, where the loader looks for them. */
function librariesOf(program: string): string[] {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => /(?:=> |^\s+)(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

function copyInto(root: string, from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  copyFileSync(from, join(root, to));
}

if (import.meta.main) {
  buildLocalBase(requireEngine(), process.argv[2]);
}
