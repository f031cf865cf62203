/**
 * Images for nodes that reach no registry: the one that holds a pod's network, made here of a program of Debian's, and ours
 * as `make images` builds them.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORIES } from '../../.ci/image/build.ts';
import { type Engine, requireEngine } from '../../.ci/image/engine.ts';
import { readVersion } from '../../operator/version.ts';
import { IMAGES_FOLDER } from './layout.ts';
import { removeMountsBelow } from './mounts.ts';
import { programPath } from './sandbox.ts';

/** The image of the container that every pod begins with. */
export const PAUSE_IMAGE = 'docker.io/torrust/pause:1';

const ROOT = join(import.meta.dirname, '../..');
const execFileAsync = promisify(execFile);

/**
 * Writes an archive with the image for pauses: one static program that waits and takes care of processes that lost their
 * parent. Returns its path. https://github.com/moby/docker-image-spec
 */
export async function writePauseArchive(): Promise<string> {
  const folder = mkdtempSync(join(createdImagesFolder(), 'pause-'));
  const archive = join(IMAGES_FOLDER, 'pause.tar');
  const tar = (file: string, parts: readonly string[]) =>
    execFileAsync('tar', [
      '--create',
      '--file',
      file,
      '--directory',
      folder,
      '--owner=0',
      '--group=0',
      ...parts,
    ]);
  copyFileSync(programPath('catatonit'), join(folder, 'catatonit'));
  await tar(join(folder, 'layer.tar'), ['catatonit']);
  const digest = createHash('sha256')
    .update(readFileSync(join(folder, 'layer.tar')))
    .digest('hex');
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: ['/catatonit', '-P'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  };
  const manifest = [{ Config: 'config.json', RepoTags: [PAUSE_IMAGE], Layers: ['layer.tar'] }];
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
  await tar(archive, ['manifest.json', 'config.json', 'layer.tar']);
  rmSync(folder, { recursive: true });
  return archive;
}

/**
 * Builds the images of this checkout, as `make images BASE=local` does, and writes an archive of each. Returns their paths.
 * Podman and buildah keep what they build in the cluster's folder meanwhile: the user's own images stay as they are.
 */
export async function productArchives(tell: (sentence: string) => void): Promise<readonly string[]> {
  const engine = requireEngine();
  const store = join(createdImagesFolder(), 'store');
  mkdirSync(store, { recursive: true });
  writeFileSync(join(store, 'storage.conf'), storageConfig(store));
  // Where the engines read where their store is: storage.conf(5)
  const env = { ...process.env, CONTAINERS_STORAGE_CONF: join(store, 'storage.conf') };
  const options = { cwd: ROOT, env, maxBuffer: 64 * 1024 * 1024 };
  try {
    tell(`building images with ${engine.name}`);
    await execFileAsync(
      process.execPath,
      ['.ci/image/build.ts', '--base', 'local', '--tag', readVersion()],
      options,
    );
    const archives: string[] = [];
    for (const repository of Object.values(REPOSITORIES)) {
      const image = `${repository}:${readVersion()}`;
      const archive = join(IMAGES_FOLDER, `${basename(repository)}.tar`);
      await execFileAsync(engine.program, savingWords(engine, image, archive), options);
      tell(`${image} is built`);
      archives.push(archive);
    }
    return archives;
  } finally {
    removeMountsBelow(store);
    rmSync(store, { recursive: true, force: true });
  }
}

function savingWords({ name }: Engine, image: string, archive: string): string[] {
  return name === 'buildah'
    ? ['push', '--quiet', image, `docker-archive:${archive}:${image}`]
    : ['save', '--output', archive, image];
}

function storageConfig(store: string): string {
  return `[storage]
driver = "overlay"
graphroot = "${join(store, 'graph')}"
runroot = "${join(store, 'run')}"
`;
}

function createdImagesFolder(): string {
  mkdirSync(IMAGES_FOLDER, { recursive: true });
  return IMAGES_FOLDER;
}
