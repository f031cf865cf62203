/**
 * `make images`: builds both images from the checkout and says how large they are. Packages come from its node_modules, so
 * that a network is needed for the base alone, and for none with `--base local`.
 *
 *     node .ci/image/build.ts [--base local|IMAGE] [--tag TAG]
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../compile.ts';
import { buildLocalBase, LOCAL_BASE } from './local-base.ts';
import { buildImage, type Engine, requireEngine } from './engine.ts';

/** Where the images are published, as the charts and the operator say. */
export const REPOSITORIES = {
  tracker: 'ghcr.io/torrust/tracker-kubernetes',
  operator: 'ghcr.io/torrust/tracker-kubernetes-operator',
} as const;

/** Builds both on `base`, or else on that of the Dockerfile. Returns their names by target; throws when one fails. */
export function buildImages(
  engine: Engine,
  { base, tag = readVersion() }: { readonly base: string | undefined; readonly tag: string | undefined },
): Record<keyof typeof REPOSITORIES, string> {
  const names = {
    tracker: `${REPOSITORIES.tracker}:${tag}`,
    operator: `${REPOSITORIES.operator}:${tag}`,
  };
  const packages = join(ROOT, 'node_modules');
  const args = {
    VERSION: readVersion(),
    REVISION: revision(),
    ...(base === undefined ? {} : { NODE_IMAGE: base }),
  };
  for (const target of ['tracker', 'operator'] as const) {
    buildImage(engine, {
      tag: names[target],
      file: join(ROOT, 'Dockerfile'),
      context: ROOT,
      target,
      args,
      contexts: { tools: packages, packages },
    });
  }
  return names;
}

function readVersion(): string {
  // The file is this project's own.
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
}

/** The commit that is built; empty where there is no git to say it. */
function revision(): string {
  return spawnSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).stdout.trim();
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { base: { type: 'string' }, tag: { type: 'string' } } });
  const engine = requireEngine();
  if (values.base === 'local') buildLocalBase(engine);
  const base = values.base === 'local' ? LOCAL_BASE : values.base || undefined;
  const names = buildImages(engine, { base, tag: values.tag });
  // The engines agree about everything here but for one word.
  const format = `{{.${engine.name === 'buildah' ? 'Name' : 'Repository'}}}:{{.Tag}}  {{.Size}}`;
  for (const name of Object.values(names)) {
    spawnSync(engine.program, ['images', '--format', format, name], { stdio: 'inherit' });
  }
}
