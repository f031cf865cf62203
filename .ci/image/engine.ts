/**
 * What builds images here: docker with its daemon, podman or buildah, whichever is there. All read the same Dockerfile.
 */
import { spawnSync } from 'node:child_process';
import { findProgram } from '../../test/support/programs.ts';

/** A program that builds images. */
export interface Engine {
  readonly name: 'docker' | 'podman' | 'buildah';
  readonly program: string;
}

/** One build. */
export interface Build {
  readonly tag: string;
  readonly file: string;
  readonly context: string;
  readonly target?: string;
  readonly args?: Readonly<Record<string, string>>;
  /** Folders that stand in for stages of these names. */
  readonly contexts?: Readonly<Record<string, string>>;
}

/** The first engine that works; undefined when there is none. A docker without its daemon does not work. */
export function findEngine(): Engine | undefined {
  for (const name of ['docker', 'podman', 'buildah'] as const) {
    const program = findProgram(name);
    if (program === undefined) continue;
    if (spawnSync(program, ['info'], { stdio: 'ignore', timeout: 20_000 }).status === 0)
      return { name, program };
  }
  return undefined;
}

/** The first engine that works. Ends the process, with a word, when there is none. */
export function requireEngine(): Engine {
  const engine = findEngine();
  if (engine !== undefined) return engine;
  console.error('images are built by docker with its daemon, podman or buildah; none of them works here');
  process.exit(1);
}

/** Builds an image. Throws when the engine fails, which has said why by then. */
export function buildImage({ name, program }: Engine, build: Build): void {
  const options = [
    ...(name === 'docker' ? ['buildx', 'build', '--load'] : ['build']),
    // Without a daemon there is seldom the right to make a container for a step; and only this format has health checks.
    ...(name === 'docker' ? [] : ['--isolation', 'chroot', '--format', 'docker']),
    ...(build.target === undefined ? [] : ['--target', build.target]),
    ...Object.entries(build.args ?? {}).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    ...Object.entries(build.contexts ?? {}).flatMap(([key, value]) => ['--build-context', `${key}=${value}`]),
    '--tag',
    build.tag,
    '--file',
    build.file,
    build.context,
  ];
  const { status } = spawnSync(program, options, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`${name} could not build ${build.tag}`);
}
