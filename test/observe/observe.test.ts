/** `make observe`, as a person runs it: what it prints answers, Prometheus fills, and Ctrl-C leaves nothing behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseSocketAddress } from '../../tracker/config/address.ts';
import { UdpClient } from '../net/udp-exchange.ts';
import { needs } from '../support/parts.ts';
import { temporaryFolder } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

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

/** Starts it in a process group of its own, as a shell does. What is left of it is killed after the test. */
function observe(context: TestContext): Run {
  const folder = temporaryFolder(context);
  const mark = `${MARK}=${randomUUID()}`;
  const [name, value] = mark.split('=');
  const child = spawn('make', ['--no-print-directory', 'observe', 'OBSERVE_ARGS=--no-grafana'], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, TMPDIR: folder, [name]: value },
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
