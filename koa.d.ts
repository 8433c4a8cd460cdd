import type { Context, Middleware as KoaMiddleware } from 'koa';
import type * as guard from './lib/guard';

/** Middleware for Koa 2 and 3 that limits rates and caps connections over all threads. */
declare function sluice(options?: sluice.Options): sluice.Middleware;

declare namespace sluice {
  type Handler = (ctx: Context, next: () => Promise<unknown>, refusal: Refusal) => unknown;
  /** Without `hook`, which is Fastify's. */
  type Options = Omit<guard.GuardOptions<Context, Handler>, 'hook'>;
  type Middleware = KoaMiddleware & { readonly guard: Guard };
  type Guard = guard.Guard;
  type GuardClient = guard.GuardClient;
  type GuardDecision = guard.GuardDecision;
  type GuardStats = guard.GuardStats;
  type Problem = guard.Problem;
  type Refusal = guard.Refusal;
}

declare module 'koa' {
  interface DefaultState {
    /** The guard's decision; of several guards, the latest. */
    sluice?: guard.GuardDecision;
  }
}

export = sluice;
