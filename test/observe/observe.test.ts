/**
 * `make observe`, as a person runs it: what it prints answers, Prometheus fills, and Ctrl-C leaves nothing behind. What
 * is missing is told in a sentence. No Grafana runs here: a program in place of a container engine stands for it.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseSocketAddress } from '../../tracker/config/address.ts';
import { UdpClient } from '../net/udp-exchange.ts';
import { needs, PARTS } from '../support/parts.ts';
import { findProgram } from '../support/programs.ts';
import { temporaryFolder } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { fakeContainerEngine, FETCH_ERROR } from './container-engine.ts';

const ROOT = join(import.meta.dirname, '../..');
/** A variable that every process of a run inherits, by which it is found. */
const MARK = 'TORRUST_OBSERVE_TEST';

interface Run {
  /** Where its temporary files are. */
  readonly folder: string;
  readonly pid: number;
  output(): string;
  hasEnded(): boolean;
  /** The processes that are left of it, by their command lines. */
  processes(): string[];
}

/**
 * Starts it in a process group of its own, as a shell does; without Grafana unless variables tell of a container engine.
 * What is left of it is killed after the test.
 */
function observe(context: TestContext, env?: Readonly<Record<string, string>>): Run {
  const folder = temporaryFolder(context);
  const mark = `${MARK}=${randomUUID()}`;
  const [name, value] = mark.split('=');
  const args = env === undefined ? ['OBSERVE_ARGS=--no-grafana'] : [];
  const child = spawn('make', ['--no-print-directory', 'observe', ...args], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, ...env, TMPDIR: folder, [name]: value },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  assert(pid !== undefined, 'make was started');
  context.after(async () => {
    for (const left of marked(mark)) process.kill(left.pid, 'SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  return {
    folder,
    pid,
    output: () => output,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    processes: () => marked(mark).map(({ command }) => command),
  };
}

/** The processes of this machine with a variable in their environment. */
function marked(variable: string): { readonly pid: number; readonly command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        if (!readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(variable)) return [];
        const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return [{ pid: Number(name), command }];
      } catch {
        // It has ended meanwhile, or is somebody else's.
        return [];
      }
    });
}

/** What stands behind a word at the beginning of a line, once all lines are there. */
async function printed(run: Run): Promise<(word: string) => string> {
  await waitFor(
    'the addresses',
    () => {
      if (run.hasEnded()) throw new Error(`make observe ended: ${run.output()}`);
      return run.output().includes('Ctrl-C ends all of it.');
    },
    120_000,
  );
  return (word) => {
    const [, rest] = new RegExp(`^ +${word} +(.+)$`, 'm').exec(run.output()) ?? [];
    assert.ok(rest !== undefined, `${word} in ${run.output()}`);
    return rest;
  };
}

test(
  'make observe prints what answers, shows the load in Prometheus, and leaves nothing when Ctrl-C ends it',
  needs('prometheus'),
  async (context) => {
    const run = observe(context);
    const behind = await printed(run);
    const [udp, http] = behind('Tracker').split(', ');
    const client = await UdpClient.open(context, parseSocketAddress(new URL(udp).host));
    await client.connect();
    for (const url of [http, behind('Metrics'), behind('Prometheus'), behind('Alerts')]) {
      assert.equal((await fetch(url)).status, 200, url);
    }
    const { origin } = new URL(behind('Prometheus'));
    for (const query of [
      'sum(rate(torrust_tracker_requests_total{outcome="ok"}[1m])) > 0',
      'node_uname_info',
      'torrust_tracker_ready == 1',
    ]) {
      await waitFor(`an answer to ${query}`, async () => {
        const response = await fetch(`${origin}/api/v1/query?${new URLSearchParams({ query }).toString()}`);
        // Prometheus documents this form.
        const { data } = (await response.json()) as { data: { result: unknown[] } };
        return data.result.length > 0;
      });
    }
    assert.ok(run.processes().length >= 3, 'a tracker, Prometheus and node_exporter run');

    // A terminal sends it to the whole group.
    process.kill(-run.pid, 'SIGINT');
    await waitFor('its end', () => run.hasEnded());
    await waitFor('the end of all that it started', () => run.processes().length === 0);
    const left = readdirSync(run.folder).filter((name) => name.startsWith('torrust-observe-'));
    assert.deepEqual(left, []);
    assert.match(run.output(), /Stopping\.\n/);
  },
);

test('make observe leaves nothing when it alone is told to end', needs('prometheus'), async (context) => {
  const run = observe(context);
  await printed(run);
  process.kill(run.pid, 'SIGTERM');
  await waitFor('the end of all that it started', () => run.processes().length === 0);
  assert.deepEqual(
    readdirSync(run.folder).filter((name) => name.startsWith('torrust-observe-')),
    [],
  );
});

test(
  'make observe runs Grafana with the dashboards, and removes it',
  needs('prometheus'),
  async (context) => {
    const engine = fakeContainerEngine(context, 'runs');
    const run = observe(context, engine.env);
    const behind = await printed(run);
    assert.equal((await fetch(behind('Grafana'))).status, 200);
    const [, name, provisioning] = /--name=(\S+) --volume=([^:]+):/.exec(engine.calls()) ?? [];
    assert.ok(name !== undefined && provisioning !== undefined, engine.calls());
    assert.ok(readdirSync(join(provisioning, 'json')).includes('torrust-tracker.json'));
    const datasource = readFileSync(join(provisioning, 'datasources/prometheus.yaml'), 'utf8');
    assert.ok(datasource.includes(new URL(behind('Prometheus')).origin), datasource);
    process.kill(run.pid, 'SIGTERM');
    await waitFor('the end of all that it started', () => run.processes().length === 0);
    assert.match(engine.calls(), new RegExp(`^rm --force ${name}$`, 'm'));
  },
);

test('make observe does without a Grafana that can not be fetched', needs('prometheus'), async (context) => {
  const run = observe(context, fakeContainerEngine(context, 'can not fetch').env);
  const behind = await printed(run);
  assert.match(behind('Grafana'), /^not here: docker ended with 125, .*; import \S+ into yours$/);
  assert.ok(run.output().includes(FETCH_ERROR), run.output());
  for (const what of ['Metrics', 'Prometheus']) assert.equal((await fetch(behind(what))).status, 200, what);
  process.kill(run.pid, 'SIGTERM');
  await waitFor('the end of all that it started', () => run.processes().length === 0);
});

test(
  'make observe ends when it is told to while Grafana is fetched',
  needs('prometheus'),
  async (context) => {
    const run = observe(context, fakeContainerEngine(context, 'fetches for ever').env);
    await waitFor('the wait', () => run.output().includes('Waiting for Grafana'), 120_000);
    process.kill(run.pid, 'SIGTERM');
    await waitFor('the end of all that it started', () => run.processes().length === 0);
    assert.match(run.output(), /Stopping\.\n/);
    assert.ok(!run.output().includes('A tracker under a gentle load'), run.output());
  },
);

test('Without Prometheus it starts nothing, and says what to do', needs('prometheus', 'tmpfs'), (context) => {
  const folder = temporaryFolder(context);
  const program = findProgram('prometheus');
  const part = PARTS.find(({ name }) => name === 'prometheus');
  assert(program !== undefined && part !== undefined);
  // Hidden from this process alone.
  const script = 'mount --bind /dev/null "$1" && exec "$2" "$3"';
  const main = join(import.meta.dirname, 'main.ts');
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', 'sh', '-c', script, 'sh', program, process.execPath, main],
    { encoding: 'utf8', env: { ...process.env, TMPDIR: folder } },
  );
  assert.deepEqual(
    { status, stdout, stderr },
    {
      status: 1,
      stdout: '',
      stderr: `Nothing was started, for lack of ${part.title} (no program prometheus): ${part.elsewhere}.\n`,
    },
  );
  assert.deepEqual(readdirSync(folder), []);
});
