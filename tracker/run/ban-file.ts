/**
 * The file that keeps bans over a restart, where `bans.path` names one: JSON, written anew as a whole under another name
 * and then put in place, so that it is never half a file. One of something else, of a newer tracker or damaged is set
 * aside, and the tracker starts without its bans.
 */
import { realpathSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import type { BanStore } from '../api/ban-keeper.ts';
import { type Ban, BanReason, isBanPrefix } from '../ban-table.ts';
import { formatIp, readIpText } from '../protocol/ip-text.ts';
import { PeerAddress } from '../protocol/model.ts';
import { StartError } from '../start-error.ts';
import type { Logger } from '../telemetry/log.ts';
import { type AsideReason, renameAside } from './set-aside.ts';

const VERSION = 1;
const FILE_MODE = 0o600;
const MAX_UNIX_SECONDS = 2 ** 32 - 1;

const seconds = z.int().min(0).max(MAX_UNIX_SECONDS);
const fileSchema = z.strictObject({
  version: z.literal(VERSION),
  bans: z.array(
    z.strictObject({
      address: z.string(),
      prefix_bits: z.int(),
      reason: z.enum(['wrong_connection_ids', 'by_hand']),
      since: seconds,
      until: seconds.nullable(),
    }),
  ),
});
/** What every version of the file has, this one and those to come. */
const anyVersionSchema = z.looseObject({ version: z.int() });
type FileBan = z.output<typeof fileSchema>['bans'][number];

/** The store behind a path. */
export function banFile(path: string): BanStore {
  return {
    async save(bans) {
      const temporary = `${path}.new`;
      // What a killed process left goes; and a link that somebody put there is not followed.
      await rm(temporary, { force: true });
      const file = await open(temporary, 'wx', FILE_MODE);
      try {
        await file.writeFile(`${JSON.stringify({ version: VERSION, bans: bans.map(toFile) })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      const folder = await open(dirname(path), 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
  };
}

const REASONS: Readonly<Record<AsideReason, string>> = {
  foreign: 'is no list of bans',
  newer: 'was written by a newer version of the tracker',
  damaged: 'is damaged',
  unreadable: "can't be read",
};

/**
 * Reads the bans of an earlier run. Without the file there are none; a file that can't be used is set aside, with a
 * warning. Throws `StartError` when the system does not let it be read.
 */
export async function readBanFile(path: string, logger: Logger): Promise<Ban[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw unusable(path, cause);
  }
  const bans = parseBans(text);
  if (typeof bans !== 'string') return bans;
  let aside: string;
  try {
    aside = renameAside(realpathSync(path), bans);
  } catch (cause) {
    throw unusable(path, cause);
  }
  logger.warn(`The file of bans ${path} ${REASONS[bans]}: nobody is banned, and it is set aside as ${aside}`);
  return [];
}

function unusable(path: string, cause: unknown): StartError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StartError(`The bans in ${path} can't be used: ${reason}`, { cause, isUsage: true });
}

/** The bans in a text, or what is wrong with it. */
function parseBans(text: string): Ban[] | AsideReason {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // Half a file of ours is no JSON either, and more likely than somebody else's.
    return 'damaged';
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const any = anyVersionSchema.safeParse(json);
    if (!any.success) return 'foreign';
    return any.data.version > VERSION ? 'newer' : 'damaged';
  }
  const bans = parsed.data.bans.map(fromFile);
  return bans.every((ban) => ban !== null) ? bans : 'damaged';
}

function toFile({ address, prefixBits, reason, beginSeconds, endSeconds }: Ban): FileBan {
  return {
    address: formatIp(address),
    prefix_bits: prefixBits,
    reason: reason === BanReason.byHand ? 'by_hand' : 'wrong_connection_ids',
    since: beginSeconds,
    until: endSeconds === 0 ? null : endSeconds,
  };
}

function fromFile({ address: text, prefix_bits: prefixBits, reason, since, until }: FileBan): Ban | null {
  const address = new PeerAddress();
  const bytes = Buffer.from(text, 'latin1');
  if (!readIpText(bytes, 0, bytes.length, address) || !isBanPrefix(address.family, prefixBits)) return null;
  return {
    address,
    prefixBits,
    reason: reason === 'by_hand' ? BanReason.byHand : BanReason.wrongConnectionIds,
    beginSeconds: since,
    endSeconds: until ?? 0,
  };
}
