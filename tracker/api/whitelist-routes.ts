/** The routes of the whitelist. They work in every mode of the tracker. */
import type { RouterContext } from '@koa/router';
import { answerChange } from './change-failure.ts';
import type { ApiContext } from './context.ts';
import { parseInfoHash } from './info-hash.ts';
import type { Reply } from './reply.ts';
import { pathParameter, type Route } from './routes.ts';

export function whitelistRoutes({ whitelist }: ApiContext): Route[] {
  return [
    {
      path: '/api/v1/whitelist/reload',
      handlers: {
        GET: () => answerChange('reload whitelist', () => whitelist.reload()),
      },
    },
    {
      path: '/api/v1/whitelist/:info_hash',
      handlers: {
        POST: (ctx) => change(ctx, 'whitelist torrent', (infoHash) => whitelist.add(infoHash)),
        DELETE: (ctx) =>
          change(ctx, 'remove torrent from whitelist', (infoHash) => whitelist.remove(infoHash)),
      },
    },
  ];
}

function change(
  ctx: RouterContext,
  attempt: string,
  work: (infoHash: string) => Promise<void>,
): Reply | Promise<Reply> {
  const parsed = parseInfoHash(pathParameter(ctx, 'info_hash'));
  if (parsed.kind === 'refused') return parsed.reply;
  return answerChange(attempt, () => work(parsed.value));
}
