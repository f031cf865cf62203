/**
 * The layers around every request of the APIs: a request id, a limit of time, and an answer also where the code
 * behind them throws. The order in which an application uses them matters, and is written there.
 */
import { randomUUID } from 'node:crypto';
import type Koa from 'koa';
import type { Context, Middleware } from 'koa';
import type { RequestObserver } from './context.ts';
import { emptyReply, sendReply, unhandled } from './reply.ts';

/** Lets `observe` follow each request from before everything else until it is answered. */
export function observeRequests(observe: RequestObserver): Middleware {
  return (ctx, next) =>
    observe({ method: ctx.method, headers: ctx.headers }, async () => {
      await next();
      // The router leaves the path that matched here; one that was sent past Koa has its status already.
      const route: unknown = ctx['_matchedRoute'];
      return {
        status: ctx.res.headersSent ? ctx.res.statusCode : ctx.status,
        route: typeof route === 'string' ? route : null,
      };
    });
}

/**
 * Answers 408 when the layers within have not answered in time. What they still do is finished, its outcome unseen.
 * The outermost layer, because nothing that others add belongs to this answer.
 */
export function limitTime(limitMillis: number): Middleware {
  return async (ctx, next) => {
    const { promise: expired, resolve: expire } = Promise.withResolvers<'expired'>();
    const timer = setTimeout(() => expire('expired'), limitMillis);
    const work = next();
    try {
      if ((await Promise.race([work, expired])) !== 'expired') return;
    } finally {
      clearTimeout(timer);
    }
    // Written past Koa: whatever the work does to the response later finds it sent.
    ctx.respond = false;
    for (const name of ctx.res.getHeaderNames()) ctx.res.removeHeader(name);
    ctx.res.writeHead(408, { 'Content-Length': 0, Connection: 'close' });
    ctx.res.end();
    work.catch((error: unknown) => ctx.app.emit('fault', error));
  };
}

/** Echoes the `x-request-id` of the request, or makes one up. */
export const identifyRequest: Middleware = async (ctx, next) => {
  await next();
  ctx.set('x-request-id', ctx.get('x-request-id') || randomUUID());
};

/**
 * Answers 500 when a handler throws, which is a mistake of ours. The owner of the application hears of it by its
 * `fault` event; the client is told nothing of the inside.
 */
export const answerFaults: Middleware = async (ctx, next) => {
  try {
    await next();
  } catch (error) {
    // A client that went away while it was being read is no fault.
    if (ctx.req.destroyed && !ctx.req.complete) return;
    ctx.app.emit('fault', error);
    sendReply(ctx, unhandled('internal error'));
  }
};

/** Koa's own event also tells of every client that hangs up, and prints that when nobody listens. */
export function silenceHangups(app: Koa): void {
  app.on('error', () => undefined);
}

/** The innermost layer: no route has answered. */
export function answerNotFound(ctx: Context): void {
  sendReply(ctx, emptyReply(404));
}
