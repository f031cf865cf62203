/**
 * Where opentracker is: installed, or unpacked from the Debian packages into a folder of the benchmarks, which needs no
 * rights and starts no service.
 */
import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../support/programs.ts';

const run = promisify(execFile);

const FOLDER = join(import.meta.dirname, 'results/opentracker');
const PACKAGES = ['opentracker', 'libowfat0'];
const DEADLINE_MILLIS = 60_000;

/** A program, and the folder of the libraries that it needs; `''` for the system's. */
export interface Opentracker {
  readonly program: string;
  readonly libraries: string;
}

/** The installed opentracker, else the unpacked one; undefined when there is none. */
export function findOpentracker(): Opentracker | undefined {
  const installed = findProgram('opentracker');
  if (installed !== undefined) return { program: installed, libraries: '' };
  const program = join(FOLDER, 'usr/bin/opentracker');
  if (!existsSync(program)) return undefined;
  return { program, libraries: globSync(join(FOLDER, '**/libowfat.so.*')).map(dirname).join(':') };
}

/** Downloads and unpacks opentracker where the system is Debian's and has none. Says so; never throws. */
export async function fetchOpentracker(): Promise<void> {
  if (process.env['NO_FETCH'] === '1' || findOpentracker() !== undefined) return;
  if (findProgram('apt-get') === undefined || findProgram('dpkg-deb') === undefined) return;
  console.log('fetching opentracker from Debian');
  mkdirSync(FOLDER, { recursive: true });
  const options = { cwd: FOLDER, timeout: DEADLINE_MILLIS };
  try {
    await run('apt-get', ['download', ...PACKAGES], options);
    for (const archive of globSync('*.deb', { cwd: FOLDER })) {
      await run('dpkg-deb', ['--extract', archive, '.'], options);
    }
  } catch {
    rmSync(FOLDER, { recursive: true, force: true });
    console.log('opentracker could not be fetched; without it, its columns are missing');
  }
}
