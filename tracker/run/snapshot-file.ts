/**
 * The file of a swarm snapshot on disk. It is written beside its place and renamed into it, so that whatever ends the
 * process leaves the old file or the new one. What can't be read is set aside under another name instead of being
 * overwritten, and nothing but a regular file is ever touched: a path may name a folder or a device by mistake.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SnapshotDecoder } from '../swarm/snapshot-format.ts';
import { type AsideReason, removeDamagedAside, renameAside, suffixesOf } from './set-aside.ts';

/** What the file system, or what is at the path, does not let us do; the message is the end of a sentence. */
export class SnapshotFileError extends Error {
  /** The code of the system, or `ENOTFILE`. */
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** The disk is given so much at a time, so that other writers need not wait long behind us. */
const SYNC_BYTES = 32 * 2 ** 20;
/** The addresses of peers are nobody's business. */
const FILE_MODE = 0o600;
const PARTIAL = /^partial-\d+-[0-9a-f]{8}$/;
/**
 * A partial file that nobody has written to for so long belongs to a process that is gone. A younger one may be that of
 * another tracker, which a rollout begins while this one still writes its last.
 */
const ABANDONED_MILLIS = 60_000;
/** There is no room for another file. */
const FULL_CODES = ['ENOSPC', 'EDQUOT'];
/** Folders of some file systems can't be synchronized; then a rename is as durable as they make it. */
const NO_SYNC_CODES = ['EINVAL', 'EISDIR', 'EPERM', 'ENOTSUP', 'EACCES'];

/** A snapshot file that is open for reading. */
export interface OpenSnapshot {
  /** Fills the target, as far as there are bytes left, and returns how many it got. Throws `SnapshotFileError`. */
  read(target: Uint8Array): number;
  close(): void;
}

/** Opens the file; null when there is none. Throws `SnapshotFileError`. */
export function openSnapshot(path: string): OpenSnapshot | null {
  return explained(() => {
    const place = placeOf(path);
    if (!place.exists) return null;
    const file = openSync(place.path, 'r');
    return { read: (target) => explained(() => readFully(file, target)), close: () => closeSync(file) };
  });
}

/** What happens to other files while one is written. */
export type SnapshotFileNews =
  /** What was at the path is no snapshot that we could read, and has another name now. */
  | { readonly kind: 'aside'; readonly reason: AsideReason; readonly path: string }
  /** The disk is full, and damaged files that had been set aside went to make room. */
  | { readonly kind: 'removed'; readonly paths: readonly string[] };

/**
 * Puts a new file at the path, with what `produce` writes; a file there that is no snapshot is set aside. When `produce`
 * returns false or throws, all stays as it was. On a full disk damaged files that were set aside are removed, and
 * `produce` is called once more. Returns the bytes written, or null when `produce` gave up. Throws `SnapshotFileError`.
 */
export function replaceSnapshot(
  path: string,
  produce: (write: (bytes: Uint8Array) => void) => boolean,
  tell: (news: SnapshotFileNews) => void,
): number | null {
  return explained(() => {
    const place = placeOf(path);
    const reason = place.exists ? reasonToSpare(place.path) : null;
    if (reason !== null) tell({ kind: 'aside', reason, path: renameAside(place.path, reason) });
    removeAbandoned(place.path);
    try {
      return writeAnew(place.path, produce);
    } catch (error) {
      if (!FULL_CODES.includes(codeOf(error))) throw error;
      const paths = removeDamagedAside(place.path);
      if (paths.length === 0) throw error;
      tell({ kind: 'removed', paths });
      return writeAnew(place.path, produce);
    }
  });
}

/** Gives a file another name. Returns the name. Throws `SnapshotFileError`. */
export function setAside(path: string, reason: AsideReason): string {
  return explained(() => renameAside(placeOf(path).path, reason));
}

/** Removes what was left of files that were being written when a process was killed. Throws `SnapshotFileError`. */
export function removePartials(path: string): void {
  explained(() => removeAbandoned(placeOf(path).path));
}

function removeAbandoned(path: string): void {
  for (const suffix of suffixesOf(path)) {
    if (!PARTIAL.test(suffix)) continue;
    const partial = `${path}.${suffix}`;
    const found = statSync(partial, { throwIfNoEntry: false });
    if (found === undefined || Date.now() - found.mtimeMs < ABANDONED_MILLIS) continue;
    rmSync(partial, { force: true });
  }
}

/** Writes a file beside its place and puts it there. */
function writeAnew(path: string, produce: (write: (bytes: Uint8Array) => void) => boolean): number | null {
  const partial = `${path}.partial-${process.pid}-${randomBytes(4).toString('hex')}`;
  const file = openSync(partial, 'wx', FILE_MODE);
  let isInPlace = false;
  try {
    let bytes = 0;
    let unsynced = 0;
    const isComplete = produce((chunk) => {
      for (let done = 0; done < chunk.length;) done += writeSync(file, chunk, done, chunk.length - done);
      bytes += chunk.length;
      unsynced += chunk.length;
      if (unsynced < SYNC_BYTES) return;
      fdatasyncSync(file);
      unsynced = 0;
    });
    if (!isComplete) return null;
    fsyncSync(file);
    renameSync(partial, path);
    isInPlace = true;
    syncFolder(dirname(path));
    return bytes;
  } finally {
    closeSync(file);
    if (!isInPlace) rmSync(partial, { force: true });
  }
}

/** The path behind links, and whether there is a file. */
function placeOf(path: string): { readonly path: string; readonly exists: boolean } {
  let place: string;
  try {
    place = realpathSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    // The file may be missing, its folder may not.
    return { path: join(realpathSync(dirname(path)), basename(path)), exists: false };
  }
  const found = lstatSync(place);
  if (found.isDirectory()) throw new SnapshotFileError('ENOTFILE', 'it is a folder');
  if (!found.isFile()) throw new SnapshotFileError('ENOTFILE', 'it is no regular file');
  return { path: place, exists: true };
}

/** Why a file must not be overwritten; null when it is a snapshot that we could read. */
function reasonToSpare(path: string): AsideReason | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return 'unreadable';
  }
  try {
    return new SnapshotDecoder((target) => readFully(file, target)).open();
  } catch {
    return 'unreadable';
  } finally {
    closeSync(file);
  }
}

function readFully(file: number, target: Uint8Array): number {
  let done = 0;
  while (done < target.length) {
    const count = readSync(file, target, done, target.length - done, null);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function syncFolder(folder: string): void {
  let file: number | null = null;
  try {
    file = openSync(folder, 'r');
    fsyncSync(file);
  } catch (error) {
    if (!NO_SYNC_CODES.includes(codeOf(error))) throw error;
  } finally {
    if (file !== null) closeSync(file);
  }
}

const SENTENCES: Readonly<Record<string, string>> = {
  EACCES: 'access is denied',
  EPERM: 'access is denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a part of the path is no folder',
  EFBIG: 'a file may not be so large',
  EIO: 'the disk reports an error',
};

/** Does what may fail by the world's doing. */
function explained<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SnapshotFileError) throw error;
    const code = codeOf(error);
    if (code === '') throw error;
    throw new SnapshotFileError(code, `${SENTENCES[code] ?? 'the system refuses'} (${code})`, error);
  }
}

function codeOf(error: unknown): string {
  if (error instanceof SnapshotFileError) return error.code;
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : '';
}
