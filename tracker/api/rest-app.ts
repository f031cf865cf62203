/**
 * The REST API v1, compatible with Torrust Tracker 3.0.0: its paths, statuses, texts and content types. Also what came
 * after: bearer tokens and more statistics.
 */
import compress from 'koa-compress';
import Koa from 'koa';
import { abuseRoute } from './abuse-route.ts';
import { requireToken } from './authentication.ts';
import { banRoutes } from './ban-routes.ts';
import type { ApiContext } from './context.ts';
import { keyRoutes } from './key-routes.ts';
import {
  answerFaults,
  answerNotFound,
  identifyRequest,
  limitTime,
  observeRequests,
  silenceHangups,
} from './layers.ts';
import { metricsRoutes } from './metrics-routes.ts';
import { OPENAPI_DOCUMENT } from './openapi.ts';
import { HEALTHY, jsonReply } from './reply.ts';
import { createRouter, type Route } from './routes.ts';
import { torrentRoutes } from './torrent-routes.ts';
import { whitelistRoutes } from './whitelist-routes.ts';

const HANDLER_LIMIT_MILLIS = 5000;
const COMPRESSED_FROM_BYTES = 32;

/** The routes that need no token. */
export const OPEN_ROUTES: readonly Route[] = [
  { path: '/api/health_check', handlers: { GET: () => HEALTHY } },
];

/** The routes that need a token. */
export function restRoutes(context: ApiContext): Route[] {
  return [
    ...metricsRoutes(context),
    ...torrentRoutes(context),
    ...whitelistRoutes(context),
    ...keyRoutes(context),
    ...banRoutes(context),
    abuseRoute(context),
    { path: '/api/v1/openapi.json', handlers: { GET: () => jsonReply(JSON.stringify(OPENAPI_DOCUMENT)) } },
  ];
}

/**
 * Makes the application. Its `fault` event tells of mistakes in the code behind it, which clients see as status 500, and its
 * `trouble` event, in words, of changes that failed for a reason that is not the client's.
 */
export function createRestApp(context: ApiContext, handlerLimitMillis = HANDLER_LIMIT_MILLIS): Koa {
  const app = new Koa();
  silenceHangups(app);
  if (context.observe !== undefined) app.use(observeRequests(context.observe));
  app.use(limitTime(handlerLimitMillis));
  app.use(identifyRequest);
  app.use(compress({ threshold: COMPRESSED_FROM_BYTES }));
  app.use(answerFaults);
  app.use(createRouter(OPEN_ROUTES).routes());
  app.use(requireToken(() => context.tokens()));
  app.use(createRouter(restRoutes(context)).routes());
  app.use(answerNotFound);
  return app;
}
