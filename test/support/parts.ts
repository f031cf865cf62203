/**
 * The real parts that some tests run against: a database server, BitTorrent clients, network namespaces.
 *
 * A test names the part that it needs with `needs()`. Where the part is missing the test is skipped with a reason that
 * the runner (test/run.ts) recognises, counts and repeats as its last lines; a skip that was not declared here fails
 * the run. `make test` first lets test/support/fetch-parts.ts install what a Debian machine can install.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import {
  BINARIES_FOR_APISERVER,
  BINARIES_FOR_CLUSTER,
  type BinaryName,
  findBinary,
} from '../apiserver/binaries.ts';
import { definitionsObstacle } from '../apiserver/definitions.ts';
import { historyObstacle } from '../charts/older-chart.ts';
import { findProgram, isProgram } from './programs.ts';

/** What a test may need beyond Node and the packages in package.json. */
export type PartName =
  | 'mariadb'
  | 'transmission'
  | 'aria2'
  | 'libtorrent'
  | 'netns'
  | 'ipv6'
  | 'prometheus'
  | 'faketime'
  | 'tmpfs'
  | 'descriptors'
  | 'buildah'
  | 'history'
  | 'registry'
  | 'apiserver'
  | 'definitions'
  | 'helm'
  | 'controllers'
  | 'nodes';

/** One real part: how to see that it is there, and how to get it. */
export interface Part {
  readonly name: PartName;
  /** What it is, as the closing lines of a test run say it. */
  readonly title: string;
  /** Programs that must all be found. */
  readonly programs: readonly string[];
  /** Debian packages that bring it; empty when no package can. */
  readonly packages: readonly string[];
  /** One sentence for a machine where those packages can't be installed. */
  readonly elsewhere: string;
  /** True: its packages are fetched only when it is asked for by name. */
  readonly onDemand?: true;
  /** A trial of what finding the programs doesn't prove; undefined when it works, else the obstacle. */
  readonly obstacle?: () => string | undefined;
}

/** Every part, in the order in which they are fetched and reported. */
export const PARTS: readonly Part[] = [
  {
    name: 'mariadb',
    title: 'MariaDB server',
    programs: ['mariadbd', 'mariadb-install-db'],
    packages: ['mariadb-server'],
    elsewhere: 'name an empty server in TEST_MYSQL_URL=mysql://user:password@host/database',
  },
  {
    name: 'transmission',
    title: 'Transmission',
    programs: ['transmission-cli'],
    packages: ['transmission-cli'],
    elsewhere: 'find a package with transmission-cli',
  },
  {
    name: 'aria2',
    title: 'aria2',
    programs: ['aria2c'],
    packages: ['aria2'],
    elsewhere: 'find a package with aria2c',
  },
  {
    name: 'libtorrent',
    title: 'libtorrent for Python',
    programs: ['python3'],
    packages: ['python3-libtorrent'],
    elsewhere: 'pip install libtorrent for the python3 that is first on PATH',
    obstacle: () =>
      findLibtorrentPython() === undefined ? 'no python3 imports the module libtorrent' : undefined,
  },
  {
    name: 'prometheus',
    title: 'Prometheus, promtool and node_exporter',
    programs: ['prometheus', 'promtool', 'prometheus-node-exporter'],
    packages: ['prometheus', 'prometheus-node-exporter'],
    elsewhere: 'put prometheus, promtool and prometheus-node-exporter on PATH',
  },
  {
    name: 'faketime',
    title: 'libfaketime',
    programs: ['faketime'],
    packages: ['faketime'],
    elsewhere: 'put faketime on PATH, with its libfaketimeMT.so.1 below /usr/lib',
    obstacle: () =>
      faketimeLibrary() === undefined ? 'libfaketimeMT.so.1 is not below /usr/lib' : undefined,
  },
  {
    name: 'buildah',
    title: 'buildah and runc',
    programs: ['buildah', 'runc'],
    packages: ['buildah', 'runc'],
    elsewhere: 'put buildah and runc on PATH, and run as root on Linux',
    obstacle: () => (process.getuid?.() === 0 ? undefined : 'not root'),
  },
  {
    name: 'history',
    title: 'the history of the project',
    programs: ['git', 'tar'],
    packages: [],
    elsewhere: 'make a clone that is not shallow (git fetch --unshallow)',
    obstacle: historyObstacle,
  },
  {
    name: 'registry',
    title: 'the npm registry, or what npm has kept of it',
    programs: ['npm'],
    packages: [],
    elsewhere: 'connect to a network, or let npm reach a registry of your own',
    obstacle: registryObstacle,
  },
  {
    name: 'netns',
    title: 'network namespaces',
    programs: ['ip'],
    packages: ['iproute2'],
    elsewhere: 'run as root on Linux, in a container with --privileged',
    obstacle: netnsObstacle,
  },
  {
    name: 'tmpfs',
    title: 'small disks in memory',
    programs: ['mount', 'umount', 'unshare'],
    packages: ['mount', 'util-linux'],
    elsewhere: 'run as root on Linux, in a container with --privileged',
    obstacle: tmpfsObstacle,
  },
  {
    name: 'descriptors',
    title: 'many connections at once',
    programs: ['sh'],
    packages: [],
    elsewhere: 'raise the hard limit of open files (ulimit -Hn) to 20,000',
    obstacle: descriptorsObstacle,
  },
  {
    name: 'ipv6',
    title: 'IPv6 on the loopback interface',
    programs: [],
    packages: [],
    elsewhere: 'enable IPv6 in the kernel (net.ipv6.conf.lo.disable_ipv6=0)',
    obstacle: ipv6Obstacle,
  },
  {
    name: 'apiserver',
    title: 'a Kubernetes API server',
    programs: [],
    packages: [],
    elsewhere: 'run `make test-apiserver`, which fetches or builds it once',
    obstacle: () => binariesObstacle(BINARIES_FOR_APISERVER),
  },
  {
    name: 'definitions',
    title: 'the definitions of optional Kubernetes APIs',
    programs: [],
    packages: [],
    elsewhere: 'run `make test-apiserver`, which fetches them once by Go',
    obstacle: definitionsObstacle,
  },
  {
    name: 'helm',
    title: 'Helm',
    programs: [],
    packages: [],
    elsewhere: 'run `make test-apiserver`, which builds it once',
    obstacle: () => binariesObstacle(['helm']),
  },
  {
    name: 'controllers',
    title: 'the controllers of Kubernetes',
    programs: [],
    packages: [],
    elsewhere: 'run `make cluster` as root on Debian, which builds them once',
    onDemand: true,
    obstacle: () => binariesObstacle(['kube-controller-manager']),
  },
  {
    name: 'nodes',
    title: 'nodes of Kubernetes',
    // prettier-ignore
    programs: ['ip', 'unshare', 'nsenter', 'iptables', 'conntrack', 'containerd', 'ctr', 'runc', 'buildah', 'catatonit'],
    // prettier-ignore
    packages: [
      'iproute2', 'util-linux', 'iptables', 'conntrack', 'containerd', 'runc', 'containernetworking-plugins', 'buildah',
      'catatonit',
    ],
    elsewhere: 'run `make cluster` as root on Debian',
    onDemand: true,
    obstacle: () => binariesObstacle(BINARIES_FOR_CLUSTER),
  },
];

/** The library that, loaded first, moves the clock of a program with threads. */
export function faketimeLibrary(): string | undefined {
  return globSync('/usr/lib/{*/,}faketime/libfaketimeMT.so.1')[0];
}

const REASON_PREFIX = 'needs a part that is missing: ';

const obstacles = new Map<PartName, string | undefined>();

/**
 * Declares that a test needs real parts: `test('…', needs('mariadb'), async () => {…})`.
 * Returns `{}` where they work, else `{skip: reason}`, which speaks of the first that does not, for the options of node:test.
 */
export function needs(...parts: readonly PartName[]): { skip?: string } {
  for (const part of parts) {
    const obstacle = partObstacle(part);
    if (obstacle !== undefined) return { skip: `${REASON_PREFIX}${part} (${obstacle})` };
  }
  return {};
}

/** The part that a skip reason made by `needs` speaks of; undefined for any other reason. */
export function partOfSkipReason(reason: string): Part | undefined {
  if (!reason.startsWith(REASON_PREFIX)) return undefined;
  const name = reason.slice(REASON_PREFIX.length).split(' ', 1)[0];
  return PARTS.find((part) => part.name === name);
}

/** Why `name` can't be used here, or undefined when it works. Looked at once per process. */
export function partObstacle(name: PartName): string | undefined {
  if (!obstacles.has(name)) obstacles.set(name, lookForObstacle(name));
  return obstacles.get(name);
}

/** Forgets what was found, after packages were installed. */
export function lookAgain(): void {
  obstacles.clear();
}

/**
 * The Python that imports libtorrent: Debian's own, for which the package is made, before the first on PATH.
 * Undefined when neither does.
 */
export function findLibtorrentPython(): string | undefined {
  const candidates = ['/usr/bin/python3', findProgram('python3')].filter((path) => path !== undefined);
  return candidates.find(
    (path) =>
      isProgram(path) && spawnSync(path, ['-c', 'import libtorrent'], { stdio: 'ignore' }).status === 0,
  );
}

function lookForObstacle(name: PartName): string | undefined {
  if (name === 'mariadb' && process.env['TEST_MYSQL_URL']) return undefined;
  const part = PARTS.find((candidate) => candidate.name === name);
  const missing = part?.programs.find((program) => findProgram(program) === undefined);
  return missing === undefined ? part?.obstacle?.() : `no program ${missing}`;
}

function binariesObstacle(names: readonly BinaryName[]): string | undefined {
  const missing = names.filter((name) => findBinary(name) === undefined);
  return missing.length === 0 ? undefined : `no ${missing.join(', no ')}`;
}

/** Asks for one of the packages that are installed anyway. */
function registryObstacle(): string | undefined {
  const question = ['view', '--prefer-offline', '--fetch-retries=0', 'zod', 'version'];
  const { status } = spawnSync('npm', question, { stdio: 'ignore', timeout: 30_000 });
  return status === 0 ? undefined : 'npm reaches no registry';
}

/** Being root proves little inside a container, so this makes a namespace with a bridge and a veth pair in it. */
function netnsObstacle(): string | undefined {
  const ip = findProgram('ip');
  if (ip === undefined) return 'no program ip';
  const namespace = `tt-${process.pid}-probe`;
  const steps = [
    ['netns', 'add', namespace],
    ['-n', namespace, 'link', 'add', 'name', 'hub', 'type', 'bridge'],
    ['-n', namespace, 'link', 'add', 'name', 'near', 'type', 'veth', 'peer', 'name', 'far'],
  ];
  try {
    for (const step of steps) {
      const { status, stderr } = spawnSync(ip, step, { encoding: 'utf8' });
      if (status !== 0) return `ip ${step.join(' ')}: ${stderr.trim()}`;
    }
    return undefined;
  } finally {
    spawnSync(ip, ['netns', 'delete', namespace], { stdio: 'ignore' });
  }
}

function tmpfsObstacle(): string | undefined {
  const { status } = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
  return status === 0 ? undefined : 'tmpfs can not be mounted';
}

function descriptorsObstacle(): string | undefined {
  const limit = spawnSync('sh', ['-c', 'ulimit -Hn']).stdout.toString().trim();
  return limit === 'unlimited' || Number(limit) >= 20_000 ? undefined : `a process may open ${limit} files`;
}

function ipv6Obstacle(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return addresses.some((entry) => entry.address === '::1') ? undefined : 'no interface has the address ::1';
}
