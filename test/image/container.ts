/**
 * Images as a container runtime takes them: their settings and files from buildah, and containers by runc with a read-only
 * root, no capabilities, and a network of their own in which nothing else listens.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleaner } from '../support/tracker-process.ts';

/** The settings of an image, as Docker writes them. */
export interface ImageSettings {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Healthcheck?: { readonly Test: readonly string[] };
}

/** An image whose files can be looked at. */
export interface OpenImage {
  readonly settings: ImageSettings;
  /** Where its files are mounted. */
  readonly root: string;
}

/** How a container differs from what its image says. */
export interface ContainerOptions {
  /** As `docker run --user` takes it, in numbers; a group that is not named is 0. */
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What stands in for the image's command. */
  readonly command?: readonly string[];
  /** Folders of the machine by the paths in the container. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** All memory that it may use. */
  readonly memoryBytes?: number;
}

/** How a command in a container ended. */
export interface Finished {
  readonly code: number;
  readonly output: string;
}

/** A container that runs. */
export interface Container {
  /** What it wrote so far. */
  output(): string;
  /** Runs a further command in it, as the user of the container. */
  exec(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Finished>;
  /** Resolves when its command ended. */
  readonly ended: Promise<Finished>;
  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<Finished>;
}

/** Opens an image for as long as `cleaner` lives. */
export function openImage(name: string, cleaner: Cleaner): OpenImage {
  const inspected: unknown = JSON.parse(buildah('inspect', '--type', 'image', name));
  // What buildah prints for an image in Docker's format.
  const { config } = (inspected as { Docker: { config: ImageSettings } }).Docker;
  const container = buildah('from', '--pull-never', name).trim();
  cleaner.after(() => void buildah('rm', container));
  return { settings: config, root: buildah('mount', container).trim() };
}

/** Starts a container of an image; it is killed and its folder removed when `cleaner` ends. */
export function startContainer(
  { settings, root }: OpenImage,
  options: ContainerOptions,
  cleaner: Cleaner,
): Container {
  const folder = mkdtempSync(join(tmpdir(), 'tt-container-'));
  const name = folder.split('/').pop() ?? '';
  const state = ['--root', join(folder, 'state')];
  writeFileSync(join(folder, 'config.json'), JSON.stringify(bundle(settings, root, options)));
  const child = spawn('runc', [...state, 'run', '--bundle', folder, name], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = collect(child);
  const ended = once(child, 'close').then(() => ({ code: child.exitCode ?? -1, output: text() }));
  cleaner.after(() => {
    execFileSync('runc', [...state, 'delete', '--force', name], { stdio: 'ignore' });
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    output: text,
    exec: async (args, env = {}) => {
      const variables = Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`]);
      return finish(spawn('runc', [...state, 'exec', ...variables, name, ...args]));
    },
    ended,
    stop: () => {
      execFileSync('runc', [...state, 'kill', name, 'TERM']);
      return ended;
    },
  };
}

/** The configuration of a container for an OCI runtime: https://github.com/opencontainers/runtime-spec */
function bundle(settings: ImageSettings, root: string, options: ContainerOptions): object {
  const [uid = '', gid = '0'] = (options.user ?? settings.User).split(':');
  const env = Object.entries(options.env ?? {}).map(([key, value]) => `${key}=${value}`);
  const mount = (destination: string, type: string, flags: readonly string[]) => ({
    destination,
    type,
    source: type,
    options: flags,
  });
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: Number(uid), gid: Number(gid) },
      args: [...settings.Entrypoint, ...(options.command ?? settings.Cmd)],
      env: [...settings.Env, ...env],
      cwd: settings.WorkingDir || '/',
      capabilities: {},
      noNewPrivileges: true,
    },
    root: { path: root, readonly: true },
    mounts: [
      mount('/proc', 'proc', []),
      mount('/dev', 'tmpfs', ['nosuid', 'mode=755', 'size=64k']),
      // In which a process reads what memory and processors it may use.
      mount('/sys/fs/cgroup', 'cgroup', ['nosuid', 'noexec', 'nodev', 'ro']),
      ...Object.entries(options.mounts ?? {}).map(([destination, source]) => ({
        destination,
        source,
        type: 'bind',
        options: ['rbind', 'rw'],
      })),
    ],
    linux: {
      ...(options.memoryBytes === undefined ? {} : { resources: { memory: { limit: options.memoryBytes } } }),
      namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
    },
  };
}

/** Collects what a process writes. */
function collect(child: ChildProcess): () => string {
  const parts: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (part: Buffer) => parts.push(part));
  }
  return () => Buffer.concat(parts).toString();
}

async function finish(child: ChildProcess): Promise<Finished> {
  const text = collect(child);
  await once(child, 'close');
  assert.ok(child.exitCode !== null, 'killed by a signal');
  return { code: child.exitCode, output: text() };
}

function buildah(...args: string[]): string {
  return execFileSync('buildah', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}
