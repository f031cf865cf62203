/**
 * Brings the programs of a real Kubernetes that this machine lacks, and definitions of optional APIs, into the cache
 * (binaries.ts, definitions.ts), once.
 *
 *     node test/apiserver/fetch-binaries.ts              what tests against an API server need, and Helm
 *     node test/apiserver/fetch-binaries.ts --cluster    and what nodes need
 *
 * First it asks for the archive that envtest uses, whose checksum is pinned; where that can't be had it builds with Go
 * from the modules of test/apiserver/go/, whose checksums go.sum pins: some ten minutes on two cores, and 3 GB of Go's
 * own build cache. It never fails the tests: what can't be had is named, and the runner names what did not run for it.
 * https://github.com/kubernetes-sigs/controller-tools/blob/main/envtest-releases.yaml
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  BINARIES_FOR_APISERVER,
  BINARIES_FOR_CLUSTER,
  type BinaryName,
  cacheFolder,
  findBinary,
  HELM_VERSION,
  KUBERNETES_VERSION,
} from './binaries.ts';
import {
  DEFINITION_MODULES,
  type DefinitionModule,
  definitionFile,
  definitionsObstacle,
} from './definitions.ts';
import { findProgram, isProgram } from '../support/programs.ts';

const GO_MODULE = join(import.meta.dirname, 'go');
const ARCHIVE_URL =
  'https://github.com/kubernetes-sigs/controller-tools/releases/download/envtest-v1.35.0/envtest-v1.35.0';
/** SHA-512 by platform, as envtest-releases.yaml has it. */
const ARCHIVE_CHECKSUMS: Record<string, string> = {
  'linux-x64':
    '130369c16f076e724d089189afaede960316f5f5dea6cf57be7a4fc6f09c77342893192509790e4056e116e232dff832ed863f5bd55dcb55d38f3ab834828a11',
  'linux-arm64':
    'e53e2b88398f5b9503e3f074d82a2dcb090c708b34940848607ce658138a5d4a25962e042ab683ccc026a8a6c90c0be7f658e42dde0887369d73c3b68e2fc86c',
  'darwin-x64':
    'fccc583ba6d322c88a8c56f7876090a7ad63460046a4bcae414093b23ce68a75f172ca7484b7c7475b707657eca5108a8ad3fd85e1b4f70a6c99ca2f22dbd6b2',
  'darwin-arm64':
    'bb5d0bb3975956331b0aa0c039955b4c4dc6c5c288e5af369364c7d2fbeac11a025227dabb127569080b259dd29b697cc77fa77abd27ae26721ddb23e8ee0613',
};
/** Where Go's own archive puts it, which many a PATH lacks. */
const GO_AS_INSTALLED = '/usr/local/go/bin/go';
const ARCHIVE_DEADLINE_MILLIS = 300_000;

/** Fetches the archive and takes out of it what is missing; says why it could not. */
async function fetchArchive(names: readonly BinaryName[]): Promise<string | undefined> {
  const checksum = ARCHIVE_CHECKSUMS[`${process.platform}-${process.arch}`];
  if (checksum === undefined) return `no archive for ${process.platform} on ${process.arch}`;
  const url = `${ARCHIVE_URL}-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}.tar.gz`;
  let bytes: Buffer;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ARCHIVE_DEADLINE_MILLIS) });
    if (!response.ok) return `${url} answered ${response.status}`;
    bytes = Buffer.from(await response.arrayBuffer());
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return `${url}: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
  if (createHash('sha512').update(bytes).digest('hex') !== checksum) return `${url} has another checksum`;
  return withScratch(names[0] ?? 'etcd', (scratch) => {
    const archive = join(scratch, 'envtest.tar.gz');
    writeFileSync(archive, bytes);
    const members = names.map((name) => `controller-tools/envtest/${name}`);
    const unpacked = spawnSync('tar', ['-xzf', archive, '-C', scratch, '--strip-components=2', ...members], {
      encoding: 'utf8',
    });
    if (unpacked.status !== 0) return `tar: ${unpacked.error?.message ?? unpacked.stderr.trim()}`;
    for (const name of names) renameSync(join(scratch, name), join(cacheFolder(name), name));
    return undefined;
  });
}

/** Builds one program; says why it could not. */
function build(name: BinaryName): string | undefined {
  const go = findGo();
  if (go === undefined) return 'no program go';
  return withScratch(name, (scratch) => {
    const shared = ['-trimpath', '-ldflags', linkerFlags(name)];
    const built = spawnSync(
      go,
      name === 'helm'
        ? ['install', ...shared, `helm.sh/helm/v4/cmd/helm@${HELM_VERSION}`]
        : ['build', ...shared, '-mod=readonly', '-o', join(scratch, name), packageOf(name)],
      {
        cwd: GO_MODULE,
        env: { ...process.env, CGO_ENABLED: '0', GOBIN: scratch },
        stdio: ['ignore', 'inherit', 'inherit'],
      },
    );
    if (built.status !== 0) return `go ended with ${built.status ?? built.signal}`;
    // What is in the cache is whole: it comes there in one step.
    renameSync(join(scratch, name), join(cacheFolder(name), name));
    return undefined;
  });
}

function packageOf(name: Exclude<BinaryName, 'helm'>): string {
  return name === 'etcd' ? 'go.etcd.io/etcd/server/v3' : `k8s.io/kubernetes/cmd/${name}`;
}

/** Without its version an API server calls itself v0.0.0-master, and clients that look at it are misled. */
function linkerFlags(name: BinaryName): string {
  if (name === 'helm' || name === 'etcd') return '-s -w';
  const [major = '', minor = ''] = KUBERNETES_VERSION.slice(1).split('.');
  const values = { gitVersion: KUBERNETES_VERSION, gitMajor: major, gitMinor: minor };
  const settings = Object.entries(values).map(
    ([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`,
  );
  return ['-s -w', ...settings].join(' ');
}

/** Runs with a folder beside the place where a program is to be, and removes it afterwards. */
function withScratch<T>(name: BinaryName, work: (scratch: string) => T): T {
  mkdirSync(cacheFolder(name), { recursive: true });
  const scratch = mkdtempSync(join(cacheFolder(name), '.making-'));
  try {
    return work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Takes the files of one module out of Go's module cache; says why it could not. */
function fetchDefinitions(module: DefinitionModule): string | undefined {
  const go = findGo();
  if (go === undefined) return 'no program go';
  // Outside of a module, whose own version of Go and whose requirements don't matter here.
  const downloaded = spawnSync(go, ['mod', 'download', '-json', `${module.module}@${module.version}`], {
    cwd: tmpdir(),
    encoding: 'utf8',
  });
  const { Dir, Sum, Error: problem } = JSON.parse(downloaded.stdout || '{}') as Record<string, string>; // As `go help mod download` tells.
  if (problem !== undefined || Dir === undefined) return problem ?? downloaded.stderr.trim();
  if (Sum !== module.sum) return 'it has another checksum';
  for (const file of module.files) {
    const target = definitionFile(module, file);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(Dir, file), target);
    chmodSync(target, 0o644);
  }
  return undefined;
}

function findGo(): string | undefined {
  return findProgram('go') ?? [GO_AS_INSTALLED].find(isProgram);
}

function missingOf(names: readonly BinaryName[]): BinaryName[] {
  return names.filter((name) => findBinary(name) === undefined);
}

async function main(): Promise<void> {
  for (const module of definitionsObstacle() === undefined ? [] : DEFINITION_MODULES) {
    console.log(`kubernetes: fetching definitions of ${module.module} ${module.version}`);
    const obstacle = fetchDefinitions(module);
    if (obstacle !== undefined) console.log(`kubernetes: could not fetch them (${obstacle})`);
  }
  const forNodes = process.argv.includes('--cluster') ? BINARIES_FOR_CLUSTER : [];
  const wanted: readonly BinaryName[] = [...BINARIES_FOR_APISERVER, 'helm', ...forNodes];
  const inArchive = missingOf(BINARIES_FOR_APISERVER);
  if (inArchive.length > 0) {
    console.log(`kubernetes: fetching ${inArchive.join(', ')}`);
    const obstacle = await fetchArchive(inArchive);
    if (obstacle !== undefined) console.log(`kubernetes: no archive (${obstacle})`);
  }
  for (const name of missingOf(wanted)) {
    console.log(`kubernetes: building ${name} with Go; this takes minutes, once`);
    const started = performance.now();
    const obstacle = build(name);
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(
      obstacle === undefined
        ? `kubernetes: built ${name} in ${seconds} s`
        : `kubernetes: could not build ${name} (${obstacle}): the tests that need it will not run`,
    );
  }
}

await main();
