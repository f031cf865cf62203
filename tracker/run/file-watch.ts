/**
 * Notices that the content of files or folders changed. Folders are watched and not files, because a change is most
 * often a new file under the old name: editors rename one into place, and Kubernetes swaps the link `..data` through
 * which the files of a mounted volume are reached. What an event means is judged by content, and a slow look from time
 * to time finds what no event told: file systems of networks have none, and a kernel has only so many.
 */
import { createHash } from 'node:crypto';
import { watch } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join, parse, resolve, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A change is made up of several events, and a file is written in several steps: content counts that rests so long. */
const QUIET_MILLIS = 200;
/** Content that never rests is taken as it is after so many looks. */
const MAX_LOOKS = 10;
const POLL_MILLIS = 30_000;
/** As many links as Linux follows on the way to a file. */
const MAX_LINKS = 40;
/** Stands for every entry of a folder. */
const ANY = '*';

/** What the kernel says of a folder that is not there or not for us; the slow look has to do. */
const HARMLESS_CODES = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'];

export interface FileWatchOptions {
  /** Called when the content has changed, and once in the beginning; not again before it has ended. */
  onChange(): Promise<void> | void;
  /** Called at most once, with a sentence: changes will be noticed late. */
  onTrouble(message: string): void;
  /** How often is looked without an event. */
  readonly pollMillis?: number;
  /** Watches a folder as `fs.watch` does. */
  readonly watchFolder?: typeof watch;
}

/** A folder that is watched. */
interface WatchedFolder {
  /** Which folder had the path when the watch began. */
  readonly identity: string;
  /** The entries that matter. */
  names: ReadonlySet<string>;
  close(): void;
}

export class FileWatch {
  readonly #options: FileWatchOptions;
  readonly #poll: NodeJS.Timeout;
  readonly #folders = new Map<string, WatchedFolder>();
  #paths: readonly string[] = [];
  /** The fingerprint of the content that `onChange` was called for last. */
  #seen: string | null = null;
  #nextLook: NodeJS.Timeout | null = null;
  #isLooking = false;
  #looksAgain = false;
  #hasTrouble = false;
  #isClosed = false;

  /** Begins to watch, and looks at once. Keeps no process alive. */
  constructor(paths: readonly string[], options: FileWatchOptions) {
    this.#options = options;
    this.#poll = setInterval(() => void this.#look(), options.pollMillis ?? POLL_MILLIS).unref();
    this.watch(paths);
  }

  /** Watches these files and folders instead; relative paths begin in the working directory. */
  watch(paths: readonly string[]): void {
    const full = [...new Set(paths.map((path) => resolve(path)))];
    if (full.join('\n') === this.#paths.join('\n') && this.#seen !== null) return;
    this.#paths = full;
    void this.#look();
  }

  /** Ends the watch; `onChange` is not called any more. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#poll);
    if (this.#nextLook !== null) clearTimeout(this.#nextLook);
    for (const folder of this.#folders.values()) folder.close();
    this.#folders.clear();
  }

  /** An event came: looks soon. Further events don't put it off, or a busy folder would do so for ever. */
  #lookSoon(): void {
    if (this.#nextLook !== null || this.#isClosed) return;
    this.#nextLook = setTimeout(() => {
      this.#nextLook = null;
      void this.#look();
    }, QUIET_MILLIS).unref();
  }

  async #look(): Promise<void> {
    this.#looksAgain = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (this.#looksAgain && !this.#isClosed) {
      this.#looksAgain = false;
      await this.#lookOnce();
    }
    this.#isLooking = false;
  }

  async #lookOnce(): Promise<void> {
    // Watching comes first: what changes after it makes an event, what changed before is seen.
    await this.#renewFolders();
    let print = await fingerprint(this.#paths);
    for (let looks = 1; print !== this.#seen && looks < MAX_LOOKS; looks++) {
      const before = print;
      await sleep(QUIET_MILLIS, undefined, { ref: false });
      print = await fingerprint(this.#paths);
      if (print === before) break;
    }
    if (print === this.#seen || this.#isClosed) return;
    this.#seen = print;
    await this.#options.onChange();
  }

  /** Watches the folders that the paths lead through now. */
  async #renewFolders(): Promise<void> {
    const wanted = await foldersOf(this.#paths);
    for (const [folder, watched] of this.#folders) {
      if (wanted.has(folder)) continue;
      watched.close();
      this.#folders.delete(folder);
    }
    for (const [folder, names] of wanted) {
      const identity = await identityOf(folder);
      if (this.#isClosed) return;
      const watched = this.#folders.get(folder);
      if (watched !== undefined && watched.identity === identity) {
        watched.names = names;
        continue;
      }
      // Another folder took the place of the one that is watched.
      watched?.close();
      this.#folders.delete(folder);
      if (identity !== null) this.#watchFolder(folder, identity, names);
    }
  }

  #watchFolder(folder: string, identity: string, names: ReadonlySet<string>): void {
    const { watchFolder = watch } = this.#options;
    try {
      const watcher = watchFolder(folder, { persistent: false }, (_, name) => {
        const isOurs = name === null || entry.names.has(name) || entry.names.has(ANY);
        // An event that names the folder itself says that it is gone.
        if (isOurs || name === basename(folder)) this.#lookSoon();
      });
      watcher.on('error', (error) => {
        this.#noteTrouble(error);
        watcher.close();
        this.#folders.delete(folder);
      });
      const entry: WatchedFolder = { identity, names, close: () => watcher.close() };
      this.#folders.set(folder, entry);
    } catch (error) {
      this.#noteTrouble(error);
    }
  }

  #noteTrouble(error: unknown): void {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (this.#hasTrouble || HARMLESS_CODES.includes(code)) return;
    this.#hasTrouble = true;
    const seconds = (this.#options.pollMillis ?? POLL_MILLIS) / 1000;
    const remedy = code === 'ENOSPC' || code === 'EMFILE' ? '; fs.inotify allows too few watches here' : '';
    this.#options.onTrouble(
      `Folders can't be watched (${code}${remedy}): changed files are noticed every ${seconds} s`,
    );
  }
}

/** The folders whose entries decide what is read at the paths, with those entries. */
async function foldersOf(paths: readonly string[]): Promise<Map<string, Set<string>>> {
  const folders = new Map<string, Set<string>>();
  for (const path of paths) {
    for (const [folder, name] of await entriesOf(path)) {
      folders.set(folder, (folders.get(folder) ?? new Set()).add(name));
    }
  }
  return folders;
}

/** The entries on the way to a path that may be swapped: every link, the file at the end, the content of a folder. */
async function entriesOf(path: string): Promise<[folder: string, name: string][]> {
  const entries: [string, string][] = [];
  let at = parse(path).root;
  let rest = path.slice(at.length).split(sep);
  while (rest.length > 0 && entries.length < MAX_LINKS) {
    const [name, ...others] = rest;
    const here = join(at, name);
    const target = await readlink(here).catch(() => null);
    if (target === null) {
      if (others.length === 0) entries.push([at, name], [here, ANY]);
      at = here;
      rest = others;
    } else {
      entries.push([at, name]);
      const resolved = resolve(at, target);
      at = parse(resolved).root;
      rest = [...resolved.slice(at.length).split(sep), ...others];
    }
  }
  return entries;
}

/** Which folder a path names; null when it names none. */
async function identityOf(folder: string): Promise<string | null> {
  try {
    const found = await stat(folder);
    return found.isDirectory() ? `${found.dev}:${found.ino}` : null;
  } catch {
    return null;
  }
}

/** A hash over the content of files, and of the files in folders. Secrets may be among them: it keeps none. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(await digest(path)).update('\n');
  return hash.digest('hex');
}

async function digest(path: string): Promise<string> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) {
      const names = (await readdir(path)).filter((name) => !name.startsWith('.')).toSorted();
      const files = names.map(async (name) => `${name} ${await digestFile(join(path, name))}`);
      return (await Promise.all(files)).join('\n');
    }
    return await digestFile(path);
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

async function digestFile(path: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}
