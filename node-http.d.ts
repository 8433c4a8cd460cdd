import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type * as guard from './lib/guard';

/** A guard before listeners of `node:http`, `node:https` and `node:http2`, over all threads. */
declare function sluice(options?: sluice.Options): sluice.Protect;

declare namespace sluice {
  type Request = (IncomingMessage | Http2ServerRequest) & {
    /** The guard's decision; of several guards, the latest. */
    sluice?: GuardDecision;
  };
  type Handler = (
    req: Request,
    res: ServerResponse | Http2ServerResponse,
    next: (error?: unknown) => void,
    refusal: Refusal,
  ) => unknown;
  /** Without `hook`, which is Fastify's. */
  type Options = Omit<guard.GuardOptions<Request, Handler>, 'hook'>;
  type Protect = guard.GuardHttp;
  type Guard = guard.Guard;
  type GuardClient = guard.GuardClient;
  type GuardDecision = guard.GuardDecision;
  type GuardStats = guard.GuardStats;
  type Problem = guard.Problem;
  type Refusal = guard.Refusal;
}

export = sluice;
