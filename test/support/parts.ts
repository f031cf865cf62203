/**
 * The real parts that some tests run against: a database server, BitTorrent clients, network namespaces.
 *
 * A test names the part that it needs with `needs()`. Where the part is missing the test is skipped with a reason that
 * the runner (test/run.ts) recognises, counts and repeats as its last lines; a skip that was not declared here fails
 * the run. `make test` first lets test/support/fetch-parts.ts install what a Debian machine can install.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { delimiter, join } from 'node:path';

/** What a test may need beyond Node and the packages in package.json. */
export type PartName = 'mariadb' | 'transmission' | 'aria2' | 'libtorrent' | 'netns' | 'ipv6' | 'promtool';

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
    name: 'promtool',
    title: 'promtool of Prometheus',
    programs: ['promtool'],
    packages: ['prometheus'],
    elsewhere: 'put promtool of a release of Prometheus on PATH',
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
    name: 'ipv6',
    title: 'IPv6 on the loopback interface',
    programs: [],
    packages: [],
    elsewhere: 'enable IPv6 in the kernel (net.ipv6.conf.lo.disable_ipv6=0)',
    obstacle: ipv6Obstacle,
  },
];

const REASON_PREFIX = 'needs a part that is missing: ';
/** Debian keeps servers and `ip` here, and a user's PATH often lacks these folders. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

const obstacles = new Map<PartName, string | undefined>();

/**
 * Declares that a test needs a real part: `test('…', needs('mariadb'), async () => {…})`.
 * Returns `{}` where the part works, else `{skip: reason}` for the options of node:test.
 */
export function needs(part: PartName): { skip?: string } {
  const obstacle = partObstacle(part);
  return obstacle === undefined ? {} : { skip: `${REASON_PREFIX}${part} (${obstacle})` };
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

/** Finds a program on PATH or in the usual system folders; undefined when it is missing. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isProgram);
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

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
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

function ipv6Obstacle(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return addresses.some((entry) => entry.address === '::1') ? undefined : 'no interface has the address ::1';
}
