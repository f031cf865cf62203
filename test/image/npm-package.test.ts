/**
 * The archive for npm, packed from a copy of this checkout, installed as users install it, and run.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { stringify } from 'smol-toml';
import { needs, partObstacle } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';

const PROJECT = join(import.meta.dirname, '../..');
const INSTALL_DEADLINE_MILLIS = 300_000;
const MAX_BYTES = 1_000_000;
const run = promisify(execFile);

let folder = '';
let archive: {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { path: string }[];
};

/** The Node.js of the project comes first, as a user's would. */
const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
});

describe('the package', () => {
  before(
    async () => {
      folder = mkdtempSync(join(tmpdir(), 'tt-package-'));
      const copy = join(folder, 'checkout');
      const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
        cwd: PROJECT,
        encoding: 'utf8',
      });
      for (const path of listed
        .split('\0')
        .filter((each) => each !== '' && existsSync(join(PROJECT, each)))) {
        mkdirSync(dirname(join(copy, path)), { recursive: true });
        copyFileSync(join(PROJECT, path), join(copy, path));
      }
      symlinkSync(join(PROJECT, 'node_modules'), join(copy, 'node_modules'));
      const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], {
        cwd: copy,
        env: environment(),
      });
      [archive] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [typeof archive];
      // Nothing stays that would be run in the place of the sources.
      assert.ok(!existsSync(join(copy, 'tracker/main.js')));
      if (partObstacle('registry') !== undefined) return;
      const install = (...options: string[]) =>
        run(
          'npm',
          [
            'install',
            '--global',
            '--prefix',
            join(folder, 'prefix'),
            ...options,
            join(folder, archive.filename),
          ],
          { cwd: folder, env: environment() },
        );
      // What npm has kept is enough most times, and takes no network.
      await install('--offline').catch(() => install());
    },
    { timeout: INSTALL_DEADLINE_MILLIS },
  );
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('the archive holds what runs, and nothing else', () => {
    const paths = archive.files.map(({ path }) => path);
    const expected =
      /^((tracker|operator)\/[a-z0-9/-]+\.js|crds\/[a-z_.]+\.yaml|charts\/[a-z-]+\/dashboards\/[a-z-]+\.json|package\.json|LICENSE|README\.md)$/;
    assert.deepEqual(
      paths.filter((path) => !expected.test(path)),
      [],
    );
    for (const path of [
      'tracker/cli/torrust-tracker.js',
      'tracker/worker.js',
      'tracker/db/worker.js',
      'operator/main.js',
      'charts/torrust-tracker-operator/dashboards/torrust-tracker.json',
    ]) {
      assert.ok(paths.includes(path), path);
    }
    assert.ok(archive.size < MAX_BYTES, `${archive.size} bytes`);
  });

  describe('installed', () => {
    /** Runs an installed command to its end. */
    function installed(command: string, ...args: string[]): Promise<{ stdout: string }> {
      return run(join(folder, 'prefix/bin', command), args, { cwd: folder, env: environment() });
    }

    test('the tracker answers over UDP and HTTP, and stops', needs('registry'), async (context) => {
      const home = mkdtempSync(join(folder, 'tracker-'));
      const any = '127.0.0.1:0';
      writeFileSync(
        join(home, 'tracker.toml'),
        stringify({
          metadata: { schema_version: '3.0.0' },
          logging: { trace_filter: 'info', trace_style: 'compact' },
          core: {
            listed: false,
            private: false,
            database: { driver: 'sqlite3', path: join(home, 'sqlite3.db') },
          },
          swarm: { memory: '16MiB' },
          udp_trackers: [{ bind_address: any }],
          http_trackers: [{ bind_address: any }],
          health_check_api: { bind_address: any },
          metrics: { bind_address: any },
        }),
      );
      const tracker = spawn(join(folder, 'prefix/bin/torrust-tracker'), ['run'], {
        cwd: home,
        env: environment(),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      context.after(() => tracker.kill('SIGKILL'));
      const output = collect(tracker);
      const find = (service: string): Promise<string> =>
        waitFor(`the ${service} to be started`, () => {
          assert.equal(tracker.exitCode, null, output());
          return new RegExp(`${service}: Started on: (\\S+:[0-9]+)`).exec(output())?.[1];
        });
      await find('HEALTH CHECK API');
      for (const service of ['UDP TRACKER', 'HTTP TRACKER']) {
        const { stdout } = await installed('torrust-tracker', 'probe', `${await find(service)}/announce`);
        assert.match(stdout, /announce .* 1 seeder/);
      }
      // What to try next is called by its installed name.
      await waitFor('the welcome', () => /Try next:\n {2}torrust-tracker probe udp:/.test(output()));
      const ended = once(tracker, 'exit');
      tracker.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null]);
    });

    test('the operator renders an example', needs('registry'), async () => {
      const example = join(PROJECT, 'docs/examples/minimal.yaml');
      const { stdout } = await installed('torrust-operator', 'render', '--filename', example);
      assert.match(stdout, /kind: StatefulSet/);
    });

    test('both say the same version', needs('registry'), async () => {
      const versions = [
        await installed('torrust-tracker', 'version'),
        await installed('torrust-operator', 'version'),
      ];
      assert.deepEqual(versions[0], versions[1]);
    });
  });
});

/** Collects what a process writes. */
function collect(child: ChildProcess): () => string {
  const parts: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part: Buffer) => parts.push(part));
  return () => Buffer.concat(parts).toString();
}
