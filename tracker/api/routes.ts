/**
 * Routes as the APIs write them down, and their place in a router. A path refuses the methods that it does not have
 * before any later path is tried, so that a fixed segment (`/whitelist/reload`) wins over a parameter.
 */
import Router, { type RouterContext } from '@koa/router';
import { methodNotAllowed, type Reply, sendReply } from './reply.ts';

export type Method = 'GET' | 'POST' | 'DELETE';

/** Answers one method of one path. */
export type Handler = (ctx: RouterContext) => Reply | Promise<Reply>;

/** A path in the router's syntax, with the handler of each method, in the order of `Allow`. */
export interface Route {
  readonly path: string;
  readonly handlers: Readonly<Partial<Record<Method, Handler>>>;
}

/** Makes a router of routes. `HEAD` is answered as `GET` without its body. */
export function createRouter(routes: readonly Route[]): Router {
  const router = new Router({ strict: true, sensitive: true });
  for (const { path, handlers } of routes) {
    for (const [method, handler] of Object.entries(handlers)) {
      router.register(path, [method], async (ctx) => sendReply(ctx, await handler(ctx)));
    }
    const refusal = methodNotAllowed(allowedMethods(handlers));
    router.all(path, (ctx) => sendReply(ctx, refusal));
  }
  return router;
}

/** The methods of a path; `HEAD` comes with `GET`. */
function allowedMethods(handlers: Route['handlers']): string[] {
  return Object.keys(handlers).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
}

/** A parameter of the path that matched, percent-decoded. */
export function pathParameter(ctx: RouterContext, name: string): string {
  return ctx.params[name] ?? '';
}

/** The query of a request, form-decoded. */
export function queryOf(ctx: { readonly querystring: string }): URLSearchParams {
  return new URLSearchParams(ctx.querystring);
}
