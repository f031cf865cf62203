/** A `docker` that is none, for tests: it says that it runs, and starts as "Grafana" what answers, fails or never begins. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Cleaner, temporaryFolder } from '../support/tracker-process.ts';

/** What comes of `docker run`. */
export type Manner = 'runs' | 'can not fetch' | 'fetches for ever';

/** What `docker run` says where no registry can be reached. */
export const FETCH_ERROR = 'docker: Error response from daemon: no route to the registry.';

export interface ContainerEngine {
  /** The variable by which it is found before any other. */
  readonly env: { readonly PATH: string };
  /** What it was called with, one call in a line. */
  calls(): string;
}

/** Puts one in a folder of its own, which goes with the test. */
export function fakeContainerEngine(context: Cleaner, manner: Manner): ContainerEngine {
  const folder = temporaryFolder(context);
  const calls = join(folder, 'calls');
  const program = join(folder, 'docker');
  writeFileSync(
    program,
    `#!${process.execPath}
const { appendFileSync } = require('node:fs');
const { createServer } = require('node:http');
const args = process.argv.slice(2);
appendFileSync(${JSON.stringify(calls)}, args.join(' ') + '\\n');
const run = {
  'runs': () => {
    const port = /GF_SERVER_HTTP_PORT=(\\d+)/.exec(args.join(' '))[1];
    createServer((request, response) => response.end()).listen(Number(port), '127.0.0.1');
  },
  'can not fetch': () => {
    console.error(${JSON.stringify(FETCH_ERROR)});
    process.exitCode = 125;
  },
  'fetches for ever': () => setInterval(() => {}, 1_000),
};
if (args[0] === 'run') run[${JSON.stringify(manner)}]();
`,
  );
  chmodSync(program, 0o755);
  return {
    env: { PATH: [folder, process.env['PATH'] ?? ''].join(delimiter) },
    calls: () => (existsSync(calls) ? readFileSync(calls, 'utf8') : ''),
  };
}
