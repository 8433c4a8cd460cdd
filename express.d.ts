import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type * as guard from './lib/guard';

/** Middleware for Express 4 and 5 that limits rates and caps connections over all threads. */
declare function sluice(options?: sluice.Options): sluice.Middleware;

declare namespace sluice {
  type Handler = (req: Request, res: Response, next: NextFunction, refusal: Refusal) => unknown;
  /** Without `hook`: Express has no hooks, and a guard decides where it is mounted. */
  type Options = Omit<guard.GuardOptions<Request, Handler>, 'hook'>;
  type Middleware = RequestHandler & { readonly guard: Guard };
  type Guard = guard.Guard;
  type GuardClient = guard.GuardClient;
  type GuardDecision = guard.GuardDecision;
  type GuardStats = guard.GuardStats;
  type Problem = guard.Problem;
  type Refusal = guard.Refusal;
}

declare global {
  namespace Express {
    interface Request {
      /** The guard's decision; of several guards, the latest. */
      sluice?: guard.GuardDecision;
    }
  }
}

export = sluice;
