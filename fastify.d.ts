import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type * as guard from './lib/guard';

/** Plugin for Fastify 5 that limits rates and caps connections over all threads. */
declare const sluice: FastifyPluginAsync<sluice.Options>;

declare namespace sluice {
  type Handler = (request: FastifyRequest, reply: FastifyReply, refusal: Refusal) => unknown;
  type Options = guard.GuardOptions<FastifyRequest, Handler>;
  /** `config.sluice` of a route: what it leaves out is the plugin's. */
  type RouteOptions = guard.RuleOptions<FastifyRequest, Handler> & {
    /** Routes of one name share a limiter, whose options each of them gives. */
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
    /** What the guard decided; null before it did. */
    sluice: guard.GuardDecision | null;
  }
  interface FastifyContextConfig {
    sluice?: sluice.RouteOptions;
  }
}

export = sluice;
