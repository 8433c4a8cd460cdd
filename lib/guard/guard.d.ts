import type { Server } from 'node:net';
import type {
  ConnectionTracker,
  ConnectionTrackerOptions,
  Decision,
  Duration,
  RateLimiter,
  RateLimiterOptions,
} from '../../index';

/** A limit that is a function of the request, by plan for instance. What the client used stays used. */
export type DynamicRateLimit<Request> = Omit<RateLimiterOptions, 'limit' | 'burst' | 'limits'> & {
  /** Units per window, an integer from 1; the burst is the same. */
  limit: (request: Request) => number | Promise<number>;
  window: Duration;
  algorithm?: 'gcra' | 'fixed-window' | 'sliding-window';
};

/** What a route, or a whole guard, says about its limit. `Request` is what the user's functions are given. */
export interface RuleOptions<Request, Handler> {
  /** Quota per key; `false` for none. Default of a guard: 100 requests per minute. */
  rateLimit?: RateLimiterOptions | DynamicRateLimit<Request> | false;
  /** Whose quota a request is charged to: a non-empty string. Default: the client's address. */
  key?: (request: Request) => string | Promise<string>;
  /** How many units a request costs, a positive integer. Default: 1. */
  cost?: number | ((request: Request) => number | Promise<number>);
  /** Requests it answers true for are neither charged nor refused. */
  skip?: (request: Request) => boolean | Promise<boolean>;
  /**
   * Only requests that fail (or succeed) are charged in the end: the others' charge is taken back when they
   * have been answered. A request fails with a status from 400, or when its client goes away before the
   * answer. Default: all count.
   */
  countOnly?: 'failures' | 'successes';
  /** Answers refused requests in the guard's stead. Status and headers are set when it is called. */
  handler?: Handler;
}

export interface GuardOptions<Request, Handler> extends RuleOptions<Request, Handler> {
  /**
   * Names the limiter and the tracker; guards of one name share them over all threads. Default: `'default'`.
   */
  name?: string;
  /** Caps on open connections. Default: none. */
  connections?: ConnectionTrackerOptions | false;
  /** Ranges whose `X-Forwarded-For` is believed. Default: none. */
  trustedProxies?: readonly string[];
  /** Which headers tell the quota. Default: `'draft-8'`. */
  headers?: 'draft-8' | 'legacy' | false;
  /** Decides, charges and counts as if live, but refuses nothing. */
  dryRun?: boolean;
}

/** The body of a refusal (RFC 9457), sent as `application/problem+json`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  /** null when waiting does not help. */
  retryAfterMs: number | null;
  'violated-policies': string[];
}

/** Why a request was refused, and the answer to it. */
export interface Refusal {
  readonly reason: 'quota' | 'connections';
  readonly status: number;
  /** Infinity when waiting does not help. */
  readonly retryAfterMs: number;
  /** null when no limiter was asked. */
  readonly decision: Decision | null;
  readonly problem: Problem;
}

/** What a guard decided about one request. */
export interface GuardDecision {
  readonly outcome: 'allowed' | 'refused' | 'skipped' | 'fault';
  /** Whether the request goes on. */
  readonly allowed: boolean;
  /** null when no limiter was asked. */
  readonly decision: Decision | null;
  readonly refusal: Refusal | null;
}

export interface GuardStats {
  /** Requests of this thread that went on; those refused; those only `dryRun` let pass; those skipped. */
  allowed: number;
  refused: number;
  dryRefused: number;
  skipped: number;
  /** Charges taken back, with `countOnly`. */
  refunded: number;
  /** Faults of ours in this thread; each let its request pass. */
  faults: number;
  /** Of all threads; null without `rateLimit`. */
  rateLimit: ReturnType<RateLimiter['stats']> | null;
  /** Of all threads; null without `connections`. */
  connections: ReturnType<ConnectionTracker['stats']> | null;
  /** Of all threads: the limiters of routes, by name. */
  routes: Record<string, ReturnType<RateLimiter['stats']>>;
}

export interface Guard {
  readonly name: string;
  /** The limiter of every route without one of its own; null when `rateLimit` is false. */
  readonly limiter: RateLimiter | null;
  /** null without `connections`. */
  readonly tracker: ConnectionTracker | null;
  /** Caps the connections of `server` from their accept on. The adapters do it by themselves. */
  attach(server: Server): void;
  stats(): GuardStats;
}
