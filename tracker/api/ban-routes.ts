/** The routes of bans: list them, impose one, lift one or all. Ours; Torrust Tracker has none. */
import { z } from 'zod';
import { type Ban, BanReason, isBanPrefix } from '../ban-table.ts';
import { formatIp, readIpText } from '../protocol/ip-text.ts';
import { PeerAddress } from '../protocol/model.ts';
import { BansNotSavedError } from './ban-keeper.ts';
import type { ApiContext } from './context.ts';
import { parsePageNumber } from './page-number.ts';
import { DONE, jsonReply, type Parsed, refused, type Reply, textReply, unhandled, value } from './reply.ts';
import { readBody } from './request-body.ts';
import { pathParameter, queryOf, type Route } from './routes.ts';

const DEFAULT_LIMIT = 1000;
/** A hundred years: more is no end at all. */
const MAX_SECONDS = 100 * 365 * 86_400;

const REASONS: Readonly<Record<BanReason, string>> = {
  [BanReason.none]: '',
  [BanReason.wrongConnectionIds]: 'wrong_connection_ids',
  [BanReason.byHand]: 'by_hand',
};

/** The body of a `POST`. */
const form = z.strictObject({
  address: z.string(),
  seconds: z.int().min(1).max(MAX_SECONDS).nullish(),
});

/** What is banned, by the first address of a network. */
interface Target {
  readonly address: PeerAddress;
  readonly prefixBits: number;
}

export function banRoutes({ bans }: ApiContext): Route[] {
  return [
    {
      path: '/api/v1/bans',
      handlers: {
        GET(ctx): Reply {
          const query = queryOf(ctx);
          const offset = parsePageNumber(query, 'offset', 0);
          if (offset.kind === 'refused') return offset.reply;
          const limit = parsePageNumber(query, 'limit', DEFAULT_LIMIT);
          if (limit.kind === 'refused') return limit.reply;
          const all = bans.list();
          const page = all.slice(offset.value, offset.value + limit.value).map((ban) => banJson(ban));
          return jsonReply(JSON.stringify({ total: all.length, bans: page }));
        },
        async POST(ctx) {
          if (!/^application\/(?:[^/]+\+)?json$/.test(ctx.request.type.toLowerCase())) {
            return textReply(415, 'Expected request with `Content-Type: application/json`');
          }
          const body = await readBody(ctx.req);
          if (body.kind === 'refused') return body.reply;
          const parsed = parseForm(body.value);
          if (parsed.kind === 'refused') return parsed.reply;
          const { target, seconds } = parsed.value;
          return answerSaved(async () => {
            const ban = await bans.impose(target.address, target.prefixBits, seconds);
            if (typeof ban === 'object') return jsonReply(JSON.stringify(banJson(ban)));
            return ban === 'never_banned' ? NEVER_BANNED : NO_ROOM;
          });
        },
        DELETE: () =>
          answerSaved(async () => {
            await bans.liftAll();
            return DONE;
          }),
      },
    },
    {
      path: '/api/v1/ban/:address',
      handlers: {
        DELETE(ctx) {
          const parsed = parseTarget(pathParameter(ctx, 'address'));
          if (parsed.kind === 'refused') return parsed.reply;
          const { address, prefixBits } = parsed.value;
          return answerSaved(async () => ((await bans.lift(address, prefixBits)) ? DONE : NOT_BANNED));
        },
      },
    },
  ];
}

const NEVER_BANNED = textReply(
  409,
  'Nobody there is ever banned: only local addresses, trusted proxies, and those listed in source_guard.cluster_ranges or bans.exempt',
);
const NO_ROOM = textReply(409, 'There is no room for another ban of this kind: lift some');
const NOT_BANNED = textReply(404, 'This address is not banned by itself');

/** Does what is to be saved, and says when it could not be. */
async function answerSaved(work: () => Promise<Reply>): Promise<Reply> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BansNotSavedError)) throw error;
    return unhandled(`the change is in force, and failed to be saved: ${error.message}`);
  }
}

function parseForm(body: string): Parsed<{ readonly target: Target; readonly seconds: number | null }> {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return refused(textReply(400, `Failed to parse the request body as JSON: ${cause}`));
  }
  const parsed = form.safeParse(json);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    const place = path.length === 0 ? '' : `${path.join('.')}: `;
    return refused(textReply(422, `Failed to deserialize the JSON body: ${place}${message}`));
  }
  const target = parseTarget(parsed.data.address);
  return target.kind === 'refused'
    ? target
    : value({ target: target.value, seconds: parsed.data.seconds ?? null });
}

/** Reads an IP address, or a network of one of the two sizes that can be banned. */
function parseTarget(text: string): Parsed<Target> {
  const [host, bits, ...more] = text.split('/');
  const address = new PeerAddress();
  const bytes = Buffer.from(host, 'latin1');
  const isAddress = more.length === 0 && readIpText(bytes, 0, bytes.length, address);
  const whole = address.family === 4 ? 32 : 128;
  const prefixBits = bits === undefined ? whole : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (isAddress && isBanPrefix(address.family, prefixBits)) {
    address.bytes.fill(0, prefixBits / 8, whole / 8);
    return value({ address, prefixBits });
  }
  const wanted = 'expected an IP address, or a network: a /24 of IPv4, a /64 of IPv6';
  return refused(textReply(400, `Invalid address ${JSON.stringify(text)}: ${wanted}`));
}

function banJson({ address, prefixBits, reason, beginSeconds, endSeconds }: Ban): object {
  const isNetwork = prefixBits === 24 || prefixBits === 64;
  return {
    address: `${formatIp(address)}${isNetwork ? `/${prefixBits}` : ''}`,
    reason: REASONS[reason],
    since: beginSeconds,
    until: endSeconds === 0 ? null : endSeconds,
  };
}
