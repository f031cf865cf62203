/**
 * The arrows between the rooms of the house: a lower layer never imports a higher one. The table below is the list;
 * whoever adds an arrow adds it here, and says why where the reason is not plain.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { importsOf, readSources, type Source } from './sources.ts';

/** What the network threads and the API share: rules and state around one announce, above the swarm store. */
const CORE = [
  'tracker/access.ts',
  'tracker/address-bans.ts',
  'tracker/address-hash.ts',
  'tracker/address-ranges.ts',
  'tracker/ban-table.ts',
  'tracker/bucket-table.ts',
  'tracker/connection-counts.ts',
  'tracker/connection-id.ts',
  'tracker/connection-keys.ts',
  'tracker/gate.ts',
  'tracker/listen-error.ts',
  'tracker/policy.ts',
  'tracker/rate-limits.ts',
  'tracker/server-close.ts',
  'tracker/shared-table.ts',
  'tracker/sip-hash.ts',
  'tracker/tracker.ts',
];
/** The parts of the tracker that the operator may know: what it renders, and what it measures with. */
const FOR_OPERATOR = ['tracker/config/', 'tracker/protocol/', 'tracker/probe/'];

/** What the threads count, and so what the sockets, the metrics and the API know of the swarm's memory. */
const TALLIES = [
  'tracker/swarm/counters.ts',
  'tracker/swarm/latencies.ts',
  'tracker/swarm/refusals.ts',
  'tracker/swarm/thread-load.ts',
  'tracker/swarm/turnover.ts',
];

/** Rooms, as files or folders, and the rooms that each may import beside itself. The longest path that fits decides. */
const ROOMS: Record<string, readonly string[]> = {
  'tracker/protocol/': [],
  'tracker/swarm/': ['tracker/protocol/model.ts'],
  'tracker/config/': [],
  ...Object.fromEntries(CORE.map((path) => [path, ['tracker/protocol/', 'tracker/swarm/', ...CORE]])),
  // The policy is the part of the configuration that may change live, in shared memory.
  'tracker/policy.ts': ['tracker/config/schema.ts', ...CORE],
  // How an address is written is the same in a configuration and in a header.
  'tracker/net/': ['tracker/protocol/', 'tracker/config/address.ts', ...TALLIES, ...CORE],
  // A thread's module is named the same way everywhere.
  'tracker/worker-module.ts': [],
  'tracker/db/': ['tracker/config/', 'tracker/worker-module.ts'],
  'tracker/telemetry/': TALLIES,
  'tracker/probe/': ['tracker/protocol/'],
  'tracker/api/': ['tracker/protocol/', 'tracker/swarm/', 'tracker/db/', 'tracker/telemetry/', ...CORE],
  'tracker/cli/': [
    'tracker/config/',
    'tracker/probe/',
    'tracker/telemetry/',
    'tracker/main.ts',
    'tracker/start-error.ts',
    // What a configuration names must be readable for it to be in order.
    'tracker/run/inputs.ts',
  ],
  // What is left at the top composes the rooms (main.ts, worker.ts and their parts).
  'tracker/': ['tracker/'],

  'operator/crd/': FOR_OPERATOR,
  'operator/desired/': ['operator/crd/', ...FOR_OPERATOR],
  'operator/status.ts': [
    'operator/crd/',
    'operator/database-trouble.ts',
    'operator/exposure-trouble.ts',
    ...FOR_OPERATOR,
  ],
  'operator/database-trouble.ts': ['operator/crd/'],
  'operator/exposure-trouble.ts': ['operator/crd/'],
  // What is measured is judged without knowing how Kubernetes is talked to.
  'operator/probe/': [
    'operator/crd/',
    'operator/desired/',
    'operator/status.ts',
    'operator/json-path.ts',
    ...FOR_OPERATOR,
  ],
  'operator/kube/': [],
  'operator/': ['operator/', ...FOR_OPERATOR],
};

/** Packages that only one room may import. */
const PACKAGE_OWNERS: Record<string, string> = {
  koffi: 'tracker/net/native/',
  koa: 'tracker/api/',
  '@koa/router': 'tracker/api/',
  'better-sqlite3': 'tracker/db/',
  mysql2: 'tracker/db/',
  knex: 'tracker/db/',
  '@kubernetes/client-node': 'operator/kube/',
  '@opentelemetry/api': 'tracker/telemetry/',
  '@opentelemetry/sdk-node': 'tracker/telemetry/',
};

/** One sentence for each import of `source` that the house doesn't have. */
function findForbidden(source: Source): string[] {
  const room = roomOf(source.path);
  const mayImport = [room, ...(ROOMS[room] ?? [])];
  return importsOf(source)
    .filter(({ kind, target }) => {
      if (kind === 'package') return !source.path.startsWith(PACKAGE_OWNERS[target] ?? '');
      return !mayImport.some((path) => fits(target, path));
    })
    .map(({ target }) => `${source.path} imports ${target}`);
}

/** Whether a file lies in a room. A room is one file, or a folder with all below it. */
function fits(target: string, path: string): boolean {
  return path.endsWith('/') ? target.startsWith(path) : target === path;
}

function roomOf(path: string): string {
  const rooms = Object.keys(ROOMS).filter((room) => fits(path, room));
  return rooms.toSorted((a, b) => b.length - a.length)[0] ?? '';
}

test('every import goes along an arrow of the house', () => {
  const sources = readSources('tracker/**/*.ts', 'operator/**/*.ts');
  assert.ok(sources.length > 0);
  assert.deepEqual(sources.flatMap(findForbidden), []);
});

test('every room of the table exists', () => {
  const paths = readSources('tracker/**/*.ts', 'operator/**/*.ts').map(({ path }) => path);
  const rooms = Object.keys(ROOMS).filter((room) => room.startsWith('tracker/'));
  assert.deepEqual(
    rooms.filter((room) => !paths.some((path) => fits(path, room))),
    [],
  );
});

describe('finds', () => {
  const cases: Record<string, { path: string; text: string; found: boolean }> = {
    'a lower layer that imports a higher one': {
      path: 'tracker/protocol/udp.ts',
      text: `import { open } from '../net/udp.ts';`,
      found: true,
    },
    'an import of types alone': {
      path: 'tracker/swarm/store.ts',
      text: `import type { Database } from '../db/client.ts';`,
      found: true,
    },
    'a re-export': {
      path: 'tracker/swarm/store.ts',
      text: `export { a } from '../api/routes.ts';`,
      found: true,
    },
    'an import at run time': {
      path: 'tracker/db/client.ts',
      text: `await import('../main.ts');`,
      found: true,
    },
    'the tracker knowing the operator': {
      path: 'tracker/main.ts',
      text: `import { a } from '../operator/status.ts';`,
      found: true,
    },
    'pure code of the operator that reaches Kubernetes': {
      path: 'operator/desired/pods.ts',
      text: `import { apply } from '../kube/client.ts';`,
      found: true,
    },
    'a package outside the room that owns it': {
      path: 'tracker/net/portable/udp.ts',
      text: `import koffi from 'koffi';`,
      found: true,
    },
    'sources that reach into the tests': {
      path: 'tracker/main.ts',
      text: `import { waitFor } from '../test/support/waiting.ts';`,
      found: true,
    },
    'nothing in an arrow that exists': {
      path: 'tracker/net/native/udp.ts',
      text: `import koffi from 'koffi';\nimport { decode } from '../../protocol/udp.ts';\nimport { once } from 'node:events';`,
      found: false,
    },
    'nothing in a comment or a text': {
      path: 'tracker/swarm/store.ts',
      text: `// import { a } from '../api/routes.ts';\nexport const help = "import { a } from '../api/routes.ts'";`,
      found: false,
    },
  };
  for (const [title, { path, text, found }] of Object.entries(cases)) {
    test(title, () => assert.equal(findForbidden({ path, text }).length, found ? 1 : 0));
  }
});
