import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type * as guard from './lib/guard';

/** Plugin for Fastify 5 that limits rates and caps connections over all threads. */
declare const sluice: FastifyPluginAsync<sluice.Options>;

declare namespace sluice {
  type Handler = (request: FastifyRequest, reply: FastifyReply, refusal: Refusal) => unknown;
  type Options = guard.GuardOptions<FastifyRequest, Handler>;
  /** `config.sluice` of a route. Options that are left out are those of the plugin. */
  type RouteOptions = guard.RuleOptions<FastifyRequest, Handler> & {
    /** Routes with the same name share a limiter; each of them gives its options. */
    name?: string;
  };
  type Guard = guard.Guard;
  type GuardClient = guard.GuardClient;
  type GuardDecision = guard.GuardDecision;
  type GuardStats = guard.GuardStats;
  type Problem = guard.Problem;
  type Refusal = guard.Refusal;
}

declare module 'fastify' {
  interface FastifyInstance {
    sluice: guard.Guard;
  }
  interface FastifyRequest {
    /** The guard's decision; null before it. */
    sluice: guard.GuardDecision | null;
  }
  interface FastifyContextConfig {
    sluice?: sluice.RouteOptions;
  }
}

export = sluice;
