/**
 * Installs the Debian packages of the real parts (parts.ts) that are missing; `make test` runs it before the tests.
 *
 * It acts only as root on a Debian-like system, says what it installs, and does nothing when everything is there. While
 * packages are being installed a policy-rc.d of ours forbids their services to start (invoke-rc.d(8): exit status 101
 * means "action forbidden"), so that no daemon is left on the machine; what stood there before comes back afterwards.
 * It never fails the tests: a part that can't be fetched is reported, and the runner names what it skipped for it.
 * `NO_FETCH=1` turns fetching off. With names of parts as arguments, it looks at those alone.
 */
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { lookAgain, PARTS, partObstacle, type Part } from './parts.ts';
import { findProgram } from './programs.ts';

const POLICY_FILE = '/usr/sbin/policy-rc.d';
const KEPT_POLICY_FILE = '/usr/sbin/policy-rc.d.kept-by-torrust-tests';
const POLICY_MARK = '# Written by the tests of torrust-tracker, for as long as they install packages.';
/** Two runs at once would take each other's policy for the one to restore, so flock(1) lets one in at a time. */
const LOCK_FILE = '/run/lock/torrust-tracker-parts.lock';
const LOCKED_ARGUMENT = '--locked';
const LOCK_WAIT_SECONDS = 900;
const APT_DEADLINE_MILLIS = 10 * 60_000;

const execFileAsync = promisify(execFile);
const wantedNames = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

/** The wanted parts that are missing and that a package could bring. */
function missingParts(): Part[] {
  const wanted = PARTS.filter(({ name, onDemand }) =>
    wantedNames.length === 0 ? onDemand === undefined : wantedNames.includes(name),
  );
  return wanted
    .filter((part) => part.packages.length > 0 && partObstacle(part.name) !== undefined)
    .filter(
      // A package brings programs; it can't bring privileges.
      (part) =>
        part.programs.some((program) => findProgram(program) === undefined) || part.name === 'libtorrent',
    );
}

/** Why packages can't be installed here; undefined when they can. */
function reasonNotToFetch(): string | undefined {
  if (process.env['NO_FETCH'] === '1') return 'NO_FETCH=1';
  if (process.platform !== 'linux' || findProgram('apt-get') === undefined)
    return 'no apt-get on this system';
  if (findProgram('flock') === undefined) return 'no program flock';
  if (process.getuid?.() !== 0) return 'not root';
  return undefined;
}

async function installAll(parts: readonly Part[]): Promise<void> {
  const restore = forbidServices();
  // A signal must not leave the policy behind; apt-get gets the same signal from the terminal.
  const stop = (): void => process.exit(130);
  process.once('exit', restore);
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  let listsAreFresh = false;
  for (const part of parts) {
    console.log(`parts: installing ${part.packages.join(' ')} for ${part.title}`);
    if (await install(part)) continue;
    if (!listsAreFresh) {
      console.log('parts: updating the package lists');
      listsAreFresh = await aptGet(['update']);
      if (listsAreFresh && (await install(part))) continue;
    }
    console.log(
      `parts: could not install ${part.packages.join(' ')}: tests of ${part.title} will be skipped`,
    );
  }
}

function install(part: Part): Promise<boolean> {
  return aptGet(['install', '--yes', '--no-install-recommends', ...part.packages]);
}

/** Runs apt-get and prints its complaint when it fails. It does not block, so that signals are seen meanwhile. */
async function aptGet(args: readonly string[]): Promise<boolean> {
  const waits = ['DPkg::Lock::Timeout=300', 'Acquire::Retries=1', 'Acquire::http::Timeout=30'];
  const running = execFileAsync('apt-get', ['-qq', ...waits.flatMap((wait) => ['-o', wait]), ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: APT_DEADLINE_MILLIS,
  });
  running.child.stdin?.end();
  try {
    await running;
    return true;
  } catch (error) {
    const lines = error instanceof Error ? error.message.trim().split('\n') : [String(error)];
    console.log(`parts: apt-get ${args[0]} failed\n  ${lines.slice(-4).join('\n  ')}`);
    return false;
  }
}

/** Forbids every service to start, and returns what undoes it. */
function forbidServices(): () => void {
  restorePolicy();
  if (existsSync(POLICY_FILE)) renameSync(POLICY_FILE, KEPT_POLICY_FILE);
  writeFileSync(POLICY_FILE, `#!/bin/sh\n${POLICY_MARK}\nexit 101\n`);
  chmodSync(POLICY_FILE, 0o755);
  return restorePolicy;
}

/** Also mends what a killed earlier run has left; does nothing when the policy is not ours. */
function restorePolicy(): void {
  if (existsSync(POLICY_FILE) && readFileSync(POLICY_FILE, 'utf8').includes(POLICY_MARK)) rmSync(POLICY_FILE);
  if (existsSync(KEPT_POLICY_FILE) && !existsSync(POLICY_FILE)) renameSync(KEPT_POLICY_FILE, POLICY_FILE);
}

async function main(): Promise<void> {
  const missing = missingParts();
  if (missing.length === 0) return;
  const reason = reasonNotToFetch();
  if (reason !== undefined) {
    const names = missing.map((part) => part.name).join(', ');
    console.log(`parts: using what is installed; nothing is fetched (${reason}); missing: ${names}`);
    return;
  }
  if (!process.argv.includes(LOCKED_ARGUMENT)) {
    const self = [process.execPath, fileURLToPath(import.meta.url), LOCKED_ARGUMENT, ...wantedNames];
    spawnSync('flock', ['--timeout', String(LOCK_WAIT_SECONDS), LOCK_FILE, ...self], { stdio: 'inherit' });
    return;
  }
  await installAll(missing);
  lookAgain();
  const still = missing.filter((part) => partObstacle(part.name) !== undefined).map((part) => part.name);
  console.log(still.length === 0 ? 'parts: all are there' : `parts: still missing: ${still.join(', ')}`);
}

await main();
