/**
 * The list of torrents with news for the database: downloads completed since it was told last, and torrents whose
 * counter of earlier times it shall be asked for. A torrent in the list is never removed. The caller holds the
 * segment's lock.
 */
import { CHANGES_WORD } from './segment.ts';
import {
  TORRENT_ASKED_BASE,
  TORRENT_AWAITS_BASE,
  TORRENT_CHANGES_NEXT,
  TORRENT_COMPLETED,
  TORRENT_COMPLETIONS,
  TORRENT_FLAGS,
  TORRENT_IN_CHANGES,
  TORRENT_WANTS_BASE,
} from './torrent-table.ts';
import { infoHashOf } from './torrent-view.ts';

/** What the database should do for a torrent. */
export interface TorrentNews {
  readonly infoHash: string;
  /** The counter of earlier times is asked for: answer with `Store.addBase`. */
  readonly wantsBase: boolean;
  /** Downloads completed since the last time. */
  readonly completions: number;
}

/** Notes a completed download, which the database has to count. */
export function noteCompletion(words: Int32Array, torrent: number): void {
  words[torrent + TORRENT_COMPLETIONS]++;
  noteChange(words, torrent);
}

/** Has the database asked for the counter of earlier times, unless it was asked before. */
export function wantBase(words: Int32Array, torrent: number): void {
  if ((words[torrent + TORRENT_FLAGS] & TORRENT_ASKED_BASE) !== 0) return;
  words[torrent + TORRENT_FLAGS] |= TORRENT_WANTS_BASE | TORRENT_ASKED_BASE;
  noteChange(words, torrent);
}

/** Takes at most `max` torrents off the list and appends their news. */
export function takeNews(words: Int32Array, max: number, news: TorrentNews[]): void {
  for (let i = 0; i < max && words[CHANGES_WORD] !== 0; i++) {
    const torrent = words[CHANGES_WORD];
    const flags = words[torrent + TORRENT_FLAGS];
    const wantsBase = (flags & TORRENT_WANTS_BASE) !== 0;
    news.push({
      infoHash: infoHashOf(words, torrent),
      wantsBase,
      completions: words[torrent + TORRENT_COMPLETIONS],
    });
    words[CHANGES_WORD] = words[torrent + TORRENT_CHANGES_NEXT];
    const kept = flags & ~(TORRENT_IN_CHANGES | TORRENT_WANTS_BASE);
    words[torrent + TORRENT_FLAGS] = wantsBase ? kept | TORRENT_AWAITS_BASE : kept;
    words[torrent + TORRENT_COMPLETIONS] = 0;
  }
}

/** Adds the counter of earlier times, if the torrent waits for it. Returns whether it did. */
export function addBase(words: Int32Array, torrent: number, count: number): boolean {
  if ((words[torrent + TORRENT_FLAGS] & TORRENT_AWAITS_BASE) === 0) return false;
  words[torrent + TORRENT_FLAGS] &= ~TORRENT_AWAITS_BASE;
  words[torrent + TORRENT_COMPLETED] += count;
  return true;
}

function noteChange(words: Int32Array, torrent: number): void {
  if ((words[torrent + TORRENT_FLAGS] & TORRENT_IN_CHANGES) !== 0) return;
  words[torrent + TORRENT_FLAGS] |= TORRENT_IN_CHANGES;
  words[torrent + TORRENT_CHANGES_NEXT] = words[CHANGES_WORD];
  words[CHANGES_WORD] = torrent;
}
