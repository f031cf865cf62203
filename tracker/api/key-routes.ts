/** The routes of the authentication keys. They work in every mode of the tracker. */
import { type AccessKey, isKeyText, KEY_BYTES } from '../access.ts';
import { answerChange, nothingRemoved } from './change-failure.ts';
import type { ApiContext } from './context.ts';
import { type KeyForm, parseKeyForm } from './key-form.ts';
import { generateKey } from './key-keeper.ts';
import {
  DONE,
  JSON_UTF8_TYPE,
  jsonReply,
  type Parsed,
  quoteDebug,
  refused,
  type Reply,
  textReply,
  value,
} from './reply.ts';
import { readBody } from './request-body.ts';
import { pathParameter, type Route } from './routes.ts';
import { MAX_U64, parseWholeNumber } from './whole-number.ts';

/** The last second that Torrust's dates can name. */
const MAX_UNIX_SECONDS = Date.UTC(262143, 11, 31, 23, 59, 59) / 1000;

export function keyRoutes({ keys, databaseDriver }: ApiContext): Route[] {
  async function create(form: KeyForm): Promise<Reply> {
    const parsed = newKey(form, Math.floor(Date.now() / 1000));
    if (parsed.kind === 'refused') return parsed.reply;
    return answerChange('generate key', async () => {
      await keys.add(parsed.value);
      return jsonReply(keyJson(parsed.value), JSON_UTF8_TYPE);
    });
  }

  return [
    {
      path: '/api/v1/keys/reload',
      handlers: {
        GET: () => answerChange('reload keys', () => keys.reload()),
      },
    },
    {
      path: '/api/v1/keys',
      handlers: {
        async POST(ctx) {
          const body = await readBody(ctx.req);
          if (body.kind === 'refused') return body.reply;
          const form = parseKeyForm(ctx.request.type.toLowerCase(), body.value);
          return form.kind === 'refused' ? form.reply : create(form.value);
        },
      },
    },
    {
      path: '/api/v1/key/:seconds_valid_or_key',
      handlers: {
        POST(ctx) {
          const text = pathParameter(ctx, 'seconds_valid_or_key');
          const seconds = parseWholeNumber(text, MAX_U64);
          if (seconds.kind === 'refused') {
            return textReply(400, `Invalid URL: Cannot parse \`${quoteDebug(text)}\` to a \`u64\``);
          }
          return create({ key: null, secondsValid: seconds.value });
        },
        DELETE(ctx) {
          const key = pathParameter(ctx, 'seconds_valid_or_key');
          if (!isKeyText(key)) return textReply(400, `Invalid auth key id param "${key}"`);
          return answerChange('delete key', async () => {
            return (await keys.remove(key)) ? DONE : nothingRemoved('delete key', databaseDriver);
          });
        },
      },
    },
  ];
}

/** The key that a form asks for. A lifetime counts from the whole second, so that a restart changes nothing. */
function newKey({ key, secondsValid }: KeyForm, nowSeconds: number): Parsed<AccessKey> {
  const validUntilSeconds = secondsValid === null ? null : nowSeconds + Number(secondsValid);
  if (validUntilSeconds !== null && validUntilSeconds > MAX_UNIX_SECONDS) {
    return refused(textReply(400, `Invalid URL: invalid auth key duration: "${secondsValid}"`));
  }
  if (key !== null && !isKeyText(key)) {
    const cause =
      Buffer.byteLength(key) === KEY_BYTES
        ? 'Invalid chars for key. Key can only alphanumeric chars (0-9, a-z, A-Z)'
        : 'Invalid key length. Key must be have 32 chars';
    return refused(textReply(400, `Invalid URL: invalid auth key: string "${key}", ${cause}`));
  }
  return value({ key: key ?? generateKey(), validUntilSeconds });
}

function keyJson({ key, validUntilSeconds }: AccessKey): string {
  return JSON.stringify({
    key,
    valid_until: validUntilSeconds,
    expiry_time: validUntilSeconds === null ? null : timeText(validUntilSeconds),
  });
}

/** `YYYY-MM-DD HH:MM:SS UTC`; years of five and more digits carry a plus sign. */
function timeText(unixSeconds: number): string {
  const time = new Date(unixSeconds * 1000);
  const year = time.getUTCFullYear();
  const rest = time.toISOString().replace(/^[+-]?\d+/, '');
  return `${year > 9999 ? '+' : ''}${String(year).padStart(4, '0')}${rest.slice(0, 6)} ${rest.slice(7, 15)} UTC`;
}
