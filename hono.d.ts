import type { Context, MiddlewareHandler } from 'hono';
import type * as guard from './lib/guard';

/** Middleware for Hono 4 behind `@hono/node-server` that limits rates and caps connections over all threads. */
declare function sluice(options?: sluice.Options): sluice.Middleware;

declare namespace sluice {
  type Handler = (c: Context, next: () => Promise<void>, refusal: Refusal) => Response | Promise<Response>;
  /** Without `hook`, which is Fastify's. */
  type Options = Omit<guard.GuardOptions<Context, Handler>, 'hook'>;
  type Middleware = MiddlewareHandler & { readonly guard: Guard };
  type Guard = guard.Guard;
  type GuardClient = guard.GuardClient;
  type GuardDecision = guard.GuardDecision;
  type GuardStats = guard.GuardStats;
  type Problem = guard.Problem;
  type Refusal = guard.Refusal;
}

declare module 'hono' {
  interface ContextVariableMap {
    /** The guard's decision; of several guards, the latest. */
    sluice: guard.GuardDecision;
  }
}

export = sluice;
