/**
 * A real Prometheus, of Debian's package, in a folder of its own: it scrapes targets on this machine, judges the rules of
 * the chart, and answers queries.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { findProgram } from './programs.ts';
import { waitFor } from './waiting.ts';

export interface PrometheusOptions {
  /** Where its configuration and data go. */
  readonly folder: string;
  /** Addresses to scrape, by job. */
  readonly targets: Readonly<Record<string, readonly string[]>>;
  readonly ruleFiles: readonly string[];
  /** Between two scrapes, and between two judgements of the rules. */
  readonly intervalSeconds: number;
}

/** One series of an answer, with its last value: a number, ±Infinity, or NaN where there is nothing to reckon with. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Whether a panel would show anything of an answer: NaN, as of a ratio of nothing to nothing, is no figure. */
export function hasFigure(answer: readonly Series[]): boolean {
  return answer.some(({ value }) => !Number.isNaN(value));
}

/** A rule as Prometheus judges it. */
export interface JudgedRule {
  readonly name: string;
  readonly health: string;
  readonly state?: string;
  readonly lastError?: string;
}

export interface RunningPrometheus {
  readonly url: string;
  /** Evaluates a query now. Rejects with Prometheus's own words for one that it can't parse. */
  query(expr: string): Promise<readonly Series[]>;
  rules(): Promise<readonly JudgedRule[]>;
  close(): Promise<void>;
}

/** Starts it and waits until it is ready. Rejects with what it wrote when it ends before. */
export async function startPrometheus(options: PrometheusOptions): Promise<RunningPrometheus> {
  const program = findProgram('prometheus');
  assert(program !== undefined, "declare needs('prometheus') before it is started");
  const config = join(options.folder, 'prometheus.yml');
  const interval = `${options.intervalSeconds}s`;
  writeFileSync(
    config,
    stringify({
      global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
      rule_files: options.ruleFiles,
      scrape_configs: Object.entries(options.targets).map(([job, targets]) => ({
        job_name: job,
        static_configs: [{ targets }],
      })),
    }),
  );
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    program,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(options.folder, 'data')}`,
      `--web.listen-address=${address}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exit = once(child, 'exit');
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const close = async () => {
    if (hasEnded()) return;
    child.kill('SIGKILL');
    await exit;
  };
  const url = `http://${address}`;
  try {
    await waitFor('Prometheus', async () => {
      if (hasEnded()) throw new Error(`Prometheus ended:\n${log}`);
      return isReady(url);
    });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url,
    query: async (expr) => {
      const { result } = await ask<{ result: { metric: Series['metric']; value: [number, string] }[] }>(
        `${url}/api/v1/query?${new URLSearchParams({ query: expr }).toString()}`,
      );
      return result.map(({ metric, value: [, value] }) => ({ metric, value: readValue(value) }));
    },
    rules: async () => {
      const { groups } = await ask<{ groups: { rules: JudgedRule[] }[] }>(`${url}/api/v1/rules`);
      return groups.flatMap(({ rules }) => rules);
    },
    close,
  };
}

/** Starts node_exporter; returns its address. It is killed at the end. */
export async function startNodeExporter(context: { after(cleanup: () => void): void }): Promise<string> {
  const program = findProgram('prometheus-node-exporter');
  assert(program !== undefined, "declare needs('prometheus') before it is started");
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(program, [`--web.listen-address=${address}`], { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  return address;
}

/** A port of the loopback interface that nobody has at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has an address object, never a path.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A value as Prometheus writes it, which calls infinity by another name than JavaScript. */
function readValue(text: string): number {
  return Number(text.replace(/^([+-])Inf$/, '$1Infinity'));
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/-/ready`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function ask<Data>(url: string): Promise<Data> {
  const response = await fetch(url);
  // The shape is that of Prometheus's HTTP API, version 1.
  const body = (await response.json()) as { status: string; error?: string; data: Data };
  if (body.status !== 'success') throw new Error(body.error);
  return body.data;
}
