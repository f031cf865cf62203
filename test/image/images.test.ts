/**
 * The images, built from this checkout on a base of this machine: what they hold, what they weigh, and how they run for
 * those for whom they are made. The base has no shell, so nothing here can need one.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test, type TestContext } from 'node:test';
import { buildLocalBase } from '../../.ci/image/local-base.ts';
import { buildImages, REPOSITORIES } from '../../.ci/image/build.ts';
import { defaultTrackerImage } from '../../operator/tracker-image.ts';
import { needs, partObstacle } from '../support/parts.ts';
import { findProgram } from '../support/programs.ts';
import { waitFor } from '../support/waiting.ts';
import {
  type Container,
  type ContainerOptions,
  type Finished,
  openImage,
  startContainer,
} from './container.ts';

const PROJECT = join(import.meta.dirname, '../..');
const BASE = 'localhost/torrust-node-base:test';
const TAG = 'test';
const BUILD_DEADLINE_MILLIS = 600_000;
/** What an image may add to its base, unpacked. */
const MAX_BYTES = { tracker: 90e6, operator: 110e6 };
const IMAGE_USER = 65532;
/** Whom Torrust's container makes its files for. */
const TORRUST_USER = 1000;
const UDP = 'udp://127.0.0.1:6969/announce';
const HTTP = 'http://127.0.0.1:7070/announce';

const names = {
  tracker: `${REPOSITORIES.tracker}:${TAG}`,
  operator: `${REPOSITORIES.operator}:${TAG}`,
};

before(
  () => {
    const program = findProgram('buildah');
    if (program === undefined || partObstacle('buildah') !== undefined) return;
    const engine = { name: 'buildah', program } as const;
    buildLocalBase(engine, BASE);
    assert.deepEqual(buildImages(engine, { base: BASE, tag: TAG }), names);
  },
  { timeout: BUILD_DEADLINE_MILLIS },
);

after(() => {
  if (partObstacle('buildah') !== undefined) return;
  const built = [names.tracker, names.operator, BASE];
  assert.equal(spawnSync('buildah', ['rmi', '--force', ...built], { stdio: 'ignore' }).status, 0);
});

test('the tracker has the name that the operator looks for', () => {
  assert.equal(defaultTrackerImage().split(':')[0], REPOSITORIES.tracker);
});

test('the base is Node.js 24 by its digest, unless another is named', () => {
  const [, base = ''] =
    /^ARG NODE_IMAGE=(.*)$/m.exec(readFileSync(join(PROJECT, 'Dockerfile'), 'utf8')) ?? [];
  assert.match(base, /^docker\.io\/library\/node:24\.[\w.-]+-slim@sha256:[0-9a-f]{64}$/);
});

describe('the image of', () => {
  for (const target of ['tracker', 'operator'] as const) {
    test(`the ${target} says who runs it, and what it is`, needs('buildah'), (context) => {
      const { settings } = openImage(names[target], context);
      assert.equal(settings.User, `${IMAGE_USER}:${IMAGE_USER}`);
      for (const label of ['title', 'description', 'source', 'licenses', 'version', 'revision']) {
        assert.ok(settings.Labels[`org.opencontainers.image.${label}`], label);
      }
    });

    test(
      `the ${target} holds what it imports, for one platform, and is small`,
      needs('buildah'),
      (context) => {
        const { root } = openImage(names[target], context);
        const folder = join(root, `opt/torrust-${target}`);
        const files = globSync('**', { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile());
        const paths = files.map((entry) => join(entry.parentPath, entry.name));
        const bytes = paths.reduce((sum, path) => sum + statSync(path).size, 0);
        context.diagnostic(`${target}: ${(bytes / 1e6).toFixed(1)} MB in ${paths.length} files`);
        assert.ok(bytes < MAX_BYTES[target], `${bytes} bytes`);
        assert.deepEqual(
          paths.filter((path) => /\.(ts|map)$|\/tests?(\.js)?(\/|$)/.test(path.slice(folder.length))),
          [],
        );
        const native = paths
          .filter((path) => path.endsWith('.node'))
          .map((path) => path.slice(folder.length));
        assert.equal(native.length, target === 'tracker' ? 2 : 0, native.join(' '));
        const manifest: unknown = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'));
        const { devDependencies } = manifest as { devDependencies: Record<string, string> };
        for (const name of Object.keys(devDependencies)) {
          assert.equal(globSync(`node_modules/${name}`, { cwd: folder }).length, 0, name);
        }
        for (const path of paths) {
          const { uid, mode } = statSync(path);
          assert.ok(uid === 0 && (mode & 0o022) === 0, `${path} can be written`);
        }
      },
    );
  }

  test('the tracker has the ports, the folders and the variables of Torrust', needs('buildah'), (context) => {
    const { settings } = openImage(names.tracker, context);
    const ports = ['6969/udp', '7070/tcp', '1212/tcp', '1313/tcp', '1314/tcp'];
    assert.deepEqual(Object.keys(settings.ExposedPorts).toSorted(), ports.toSorted());
    const folders = ['/etc/torrust/tracker', '/var/lib/torrust/tracker', '/var/log/torrust/tracker'];
    assert.deepEqual(Object.keys(settings.Volumes ?? {}).toSorted(), folders);
    assert.ok(settings.Env.includes('TORRUST_TRACKER_CONFIG_TOML_PATH=/etc/torrust/tracker/tracker.toml'));
    assert.equal(settings.Healthcheck?.Test[0], 'CMD');
  });
});

/** A volume as a container runtime makes it: a folder of a user, with what `fill` puts there. */
function volume(context: TestContext, uid: number, fill: (folder: string) => void = () => undefined): string {
  const folder = mkdtempSync(join(tmpdir(), 'tt-volume-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  fill(folder);
  for (const path of globSync('**', { cwd: folder })) chownSync(join(folder, path), uid, uid);
  chownSync(folder, uid, uid);
  chmodSync(folder, 0o2770);
  return folder;
}

describe('a container of the tracker', () => {
  interface Volumes {
    readonly etc: string;
    readonly lib: string;
  }

  /** Runs it on a root that can't be written, and waits until it is healthy. */
  async function start(context: TestContext, { etc, lib }: Volumes, options: ContainerOptions = {}) {
    const image = openImage(names.tracker, context);
    const mounts = { '/etc/torrust/tracker': etc, '/var/lib/torrust/tracker': lib };
    const container = startContainer(image, { ...options, mounts }, context);
    const { Healthcheck, Entrypoint } = image.settings;
    const health = Healthcheck?.Test.slice(1) ?? [];
    let end: Finished | undefined;
    void container.ended.then((finished) => (end = finished));
    await waitFor('the container to be healthy', async () => {
      assert.equal(end, undefined);
      return (await container.exec(health)).code === 0;
    });
    return { container, health, entrypoint: Entrypoint };
  }

  async function announce(container: Container, entrypoint: readonly string[]): Promise<void> {
    for (const url of [UDP, HTTP]) {
      const { code, output } = await container.exec([...entrypoint, 'probe', url]);
      assert.equal(code, 0, output + container.output());
      assert.match(output, /announce .* 1 seeder/);
    }
  }

  test('writes a configuration, announces, is healthy and stops', needs('buildah'), async (context) => {
    const volumes = { etc: volume(context, IMAGE_USER), lib: volume(context, IMAGE_USER) };
    const { container, health, entrypoint } = await start(context, volumes);
    const config = statSync(join(volumes.etc, 'tracker.toml'));
    assert.equal(config.uid, IMAGE_USER);
    assert.equal(config.mode & 0o777, 0o600);
    assert.ok(statSync(join(volumes.lib, 'database/sqlite3.db')).isFile());
    await announce(container, entrypoint);
    // From outside of a container its loopback is not to be reached.
    for (const service of ['API: Started on', 'METRICS: Started on:', 'HTTP TRACKER: Started on:']) {
      assert.ok(container.output().includes(`${service} http://0.0.0.0:`), container.output());
    }
    assert.equal((await container.exec(health, { HEALTH_CHECK_API_PORT: '1' })).code, 1);
    const { code, output } = await container.stop();
    assert.equal(code, 0, output);
  });

  test('leaves memory beside the heap', needs('buildah'), async (context) => {
    const memoryBytes = 512 * 2 ** 20;
    const volumes = { etc: volume(context, IMAGE_USER), lib: volume(context, IMAGE_USER) };
    const { container, entrypoint } = await start(context, volumes, { memoryBytes });
    const script = 'console.log(process.constrainedMemory(), v8.getHeapStatistics().heap_size_limit)';
    const { output } = await container.exec([...entrypoint.slice(0, -1), '--eval', script]);
    const [memory = 0, heap = 0] = output.trim().split(' ').map(Number);
    assert.equal(memory, memoryBytes);
    assert.ok(heap <= 0.3 * memory, `${heap} of ${memory} bytes`);
  });

  test(
    'takes over the volumes of Torrust, as the user of its container',
    needs('buildah'),
    async (context) => {
      const fixture = (path: string): string => readFileSync(join(PROJECT, 'test', path), 'utf8');
      const etc = volume(context, TORRUST_USER, (folder) => {
        const text = fixture('config/fixtures/v2-e2e-container.toml');
        writeFileSync(join(folder, 'tracker.toml'), text, { mode: 0o640 });
      });
      const lib = volume(context, TORRUST_USER, (folder) => {
        const file = join(folder, 'database/sqlite3.db');
        mkdirSync(join(folder, 'database'), { mode: 0o770 });
        const database = new DatabaseSync(file);
        database.exec(fixture('db/fixtures/sqlite3/v3.0.0.sql'));
        database.close();
        chmodSync(file, 0o640);
      });
      const user = String(TORRUST_USER);
      const env = { USER_ID: user, TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_API__ACCESS_TOKENS__ADMIN: 'mine' };
      const { container, entrypoint } = await start(context, { etc, lib }, { user, env });
      await announce(container, entrypoint);
      const url = 'http://127.0.0.1:1212/api/v1/key/Version3Key000000000000000000002?token=mine';
      const asking = `fetch('${url}', { method: 'DELETE' }).then(({ status }) => console.log(status))`;
      const { output } = await container.exec(['node', '--eval', asking]);
      assert.equal(output, '200\n');
      assert.equal((await container.stop()).code, 0);
      const database = new DatabaseSync(join(lib, 'database/sqlite3.db'), { readOnly: true });
      const { count } = database.prepare('SELECT count(*) AS count FROM keys').get() ?? {};
      database.close();
      assert.equal(count, 1);
      assert.equal(statSync(join(lib, 'database/sqlite3.db')).uid, TORRUST_USER);
    },
  );

  test(
    'has the drivers and exporters that it loads when it is told to',
    needs('buildah'),
    async (context) => {
      const volumes = { etc: volume(context, IMAGE_USER), lib: volume(context, IMAGE_USER) };
      const { container } = await start(context, volumes);
      const load = `const load = require('node:module').createRequire('/opt/torrust-tracker/tracker/main.js');
      for (const name of ['mysql2', 'better-sqlite3', 'knex', 'koffi', '@opentelemetry/sdk-node']) load(name);
      console.log('loaded');`;
      const { output } = await container.exec(['node', '--eval', load]);
      assert.equal(output, 'loaded\n');
    },
  );
});

describe('a container of the operator', () => {
  /** Runs a command of it to its end. */
  async function operator(context: TestContext, command: readonly string[]): Promise<Finished> {
    return startContainer(openImage(names.operator, context), { command }, context).ended;
  }

  test('says its version', needs('buildah'), async (context) => {
    const { code, output } = await operator(context, ['version']);
    assert.match(output, /^\d+\.\d+\.\d+\n$/);
    assert.equal(code, 0);
  });

  test('has the dashboards that it hands to trackers', needs('buildah'), (context) => {
    const { root } = openImage(names.operator, context);
    const folder = join(root, 'opt/torrust-operator/charts/torrust-tracker-operator/dashboards');
    assert.ok(readdirSync(folder).includes('torrust-tracker.json'));
  });

  test('runs as far as it comes without a cluster', needs('buildah'), async (context) => {
    const { code, output } = await operator(context, ['run', '--apply-definitions']);
    assert.doesNotMatch(output, /ERR_MODULE_NOT_FOUND|Cannot find/);
    assert.match(output, /cluster|context/);
    assert.notEqual(code, 0);
  });
});
