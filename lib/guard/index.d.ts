import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Server } from 'node:net';
import type { ConnectionTracker, ConnectionTrackerOptions } from '../connection-tracker';
import type { Decision, RateLimiter, RateLimiterOptions } from '../rate-limiter';
import type { Reputation, ReputationOptions } from '../reputation';
import type { Duration, OnMismatch } from '../runtime';
import type { SecurityMonitor, SecurityMonitorOptions } from '../security-monitor';

/** A limit that is a function of the request, by plan for instance. What the client used stays used. */
export type DynamicRateLimit<Request> = Omit<RateLimiterOptions, 'limit' | 'burst' | 'limits'> & {
  /** Units per window, an integer from 1; the burst is the same. */
  limit: (request: Request) => number | Promise<number>;
  window: Duration;
  algorithm?: 'gcra' | 'fixed-window' | 'sliding-window';
};

/** What `key` may answer. */
export type RequestKey = string | number | bigint | null | undefined;

/** Bounds on what is read and discarded of refused requests, so that their clients can read the answer. */
export interface RefusedBodyOptions {
  /** Of each request. Default: 8 MiB. */
  bytes?: number;
  /** After the answer, at most an hour. Default: `'2s'`. */
  timeout?: Duration;
  /** Connections of a thread that are read at once; others are closed with the answer. Default: 64. */
  connections?: number;
}

/** Which scripts of other origins may read a refusal. */
export interface CorsOptions {
  /** Any (`'*'`), one, or several; a RegExp matches anywhere, so anchor it. */
  origin: '*' | string | RegExp | readonly (string | RegExp)[];
  /** Whether also with credentials; not with `'*'`. Default: false. */
  credentials?: boolean;
  /** Fields they may read. Default: `Retry-After` and those of `headers`. */
  exposedHeaders?: readonly string[];
}

/** What a route, or a whole guard, says about its limit. `Request` is what the user's functions are given. */
export interface RuleOptions<Request, Handler> {
  /** Quota per key; `false` for none. Default of a guard: 100 requests per minute. */
  rateLimit?: RateLimiterOptions | DynamicRateLimit<Request> | false;
  /**
   * Whose quota a request is charged to: a non-empty string, or a number or bigint, which stand for their text. `''`, `NaN`,
   * `null` and `undefined` are no key. Default: the client's address.
   */
  key?: (request: Request) => RequestKey | Promise<RequestKey>;
  /**
   * What happens to a request without a key: it is charged to its client's address (`'client'`), refused with 400
   * (`'refuse'`), or an error (`'error'`). Default: `'client'`.
   */
  keyFallback?: 'client' | 'refuse' | 'error';
  /** How many units a request costs, a positive integer. Default: 1. */
  cost?: number | ((request: Request) => number | Promise<number>);
  /** Requests it answers true for are neither charged nor refused. */
  skip?: (request: Request) => boolean | Promise<boolean>;
  /** Whether preflights of CORS are neither charged nor refused by the limit. Default: false. */
  skipPreflight?: boolean;
  /**
   * Fastify's hook in which the rate is decided: a key of the body takes `'preValidation'`, one that a `preHandler` sets
   * `'preHandler'`. Bans and connections stay in `onRequest`. Default: `'onRequest'`.
   */
  hook?: 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler';
  /**
   * Only requests that fail (or succeed) are charged in the end: the others' charge is taken back when they
   * have been answered. A request fails with a status from 400, or when its client goes away before the
   * answer. Default: all count.
   */
  countOnly?: 'failures' | 'successes';
  /**
   * Requests of this route carry credentials: an answer of 401 or 403 is a failed login, also without an
   * `Authorization` header. Default: `false`.
   */
  login?: boolean;
  /** Answers refused requests in the guard's stead. Status and headers are set when it is called. */
  handler?: Handler;
}

/** What an answer of some status means about its client. */
export interface RecordEntry {
  /** What the monitor is told, and the reputation as the reason. */
  event: string;
  /** How many failures it is for the reputation, an integer from 0. Default: 1; for 404 and 429 it is 0. */
  weight?: number;
  /**
   * `'credentials'`: recorded only where the request carried an `Authorization` header, or its route has
   * `login: true`. Default: `'credentials'` for 401 and 403, else `'always'`.
   */
  when?: 'credentials' | 'always';
}

/** The client that a guard saw. */
export interface GuardClient {
  /** The whole address; null for a client that cannot be named. */
  readonly address: string | null;
  /** What the rate counts it as by default: its {@link clientKey}; `'unknown'` without an address. */
  readonly key: string;
}

export interface GuardOptions<Request, Handler> extends RuleOptions<Request, Handler> {
  /**
   * Names the guard and its parts; guards of one name share them over all threads, and must agree on their options.
   * Options left out are those of the guard that exists. Default: `'default'`.
   */
  name?: string;
  /** Caps on open connections. Default: none. */
  connections?: ConnectionTrackerOptions | false;
  /**
   * Bans: options of a {@link Reputation} of the guard's name, or one that there is, or its name. Default: none, so
   * that nobody is banned who was not asked to be.
   */
  reputation?: ReputationOptions | Reputation | string | false;
  /**
   * Rules on events: options of a {@link SecurityMonitor} of the guard's name, or one that there is, or its name.
   * Rules that ban do so in the guard's reputation, where `reputation` is left out. Default: none.
   */
  monitor?: SecurityMonitorOptions | SecurityMonitor | string | false;
  /**
   * What answers tell reputation and monitor, by status: an event, or `false` for nothing. Statuses left out are
   * as by default: 401 `'unauthorized'` and 403 `'forbidden'` where the request carried credentials, 404
   * `'not-found'` and 429 `'rate-limited'`, which are no failures. `false` records no answer.
   */
  record?: Readonly<Record<number, string | RecordEntry | false>> | false;
  /** Ranges of proxies whose word on the client is believed. Nothing is counted against their addresses. Default: none. */
  trustedProxies?: readonly string[];
  /**
   * The header in which trusted proxies name the client, such as `'forwarded'` (RFC 7239), `'x-real-ip'` or
   * `'cf-connecting-ip'`; or a function that is called for every request of Node's and returns the address.
   * Default: `'x-forwarded-for'`.
   */
  clientAddress?: string | ((request: IncomingMessage | Http2ServerRequest) => string);
  /** Which headers tell the quota. Default: `'draft-8'`. */
  headers?: 'draft-8' | 'legacy' | false;
  /** Headers of CORS on refusals that have none yet; `true` is any origin. Default: none. */
  cors?: CorsOptions | boolean;
  /** What is read of a refused request's body; `false` closes its connection with the answer. */
  refusedBody?: RefusedBodyOptions | false;
  /** Decides, charges, records and counts as if live, but refuses nothing. */
  dryRun?: boolean;
  /**
   * What happens when options differ from those of the guard of this name; for its parts and the limiters of its routes
   * too, where they do not say it themselves. `record`, `trustedProxies`, the header of `clientAddress` and the options
   * of the parts may change. Fixed at creation: which parts there are, the names of `reputation` and `monitor`, whether
   * the limit or `clientAddress` is a function, and `dryRun`. Default: `'error'`.
   */
  onMismatch?: OnMismatch;
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

/** What a limiter decided about a request. */
export interface RateDecision extends Decision {
  /** Until there is more quota than now, in milliseconds, rounded up; 0 when it is whole. `t` of `RateLimit`. */
  moreAfterMs: number;
}

/** Why a request was refused, and the answer to it. */
export interface Refusal {
  readonly reason: 'quota' | 'connections' | 'ban' | 'key' | 'address';
  /** 429, 503, 403; 400 without a key, and where the client has reset its connection before its address was known. */
  readonly status: number;
  /** Infinity when waiting does not help. */
  readonly retryAfterMs: number;
  /** null when no limiter was asked. */
  readonly decision: RateDecision | null;
  readonly problem: Problem;
}

/** What a guard decided about one request. */
export interface GuardDecision {
  readonly outcome: 'allowed' | 'refused' | 'skipped' | 'fault';
  /** The client, as `guard.clientOf(req)` returns it. */
  readonly client: GuardClient;
  /** Whether the request goes on. */
  readonly allowed: boolean;
  /** Of the answer to a refused request. */
  readonly status: number | undefined;
  /** What the client is to be told, served or refused: made anew with each look. */
  readonly headers: Record<string, string>;
  /** The answer to a refused request: a {@link Problem} as JSON. */
  readonly body: string | undefined;
  /** null when no limiter was asked. */
  readonly decision: RateDecision | null;
  readonly refusal: Refusal | null;
}

/** Counts over all threads; null for a part that the guard does not have. */
export interface GuardStats {
  /** Requests that went on; those that were refused; those that only `dryRun` let pass; those skipped. */
  allowed: number;
  refused: number;
  dryRefused: number;
  skipped: number;
  /** `refused`, by reason. */
  refusedBy: { quota: number; connections: number; ban: number };
  /** Sockets refused at accept, as their client is banned or has reset them before its address was known. */
  refusedAtAccept: number;
  /** Charges taken back, with `countOnly`. */
  refunded: number;
  /** Requests of which reputation or monitor were told. */
  recorded: number;
  /** Faults of ours; each let its request pass. */
  faults: number;
  rateLimit: ReturnType<RateLimiter['stats']> | null;
  connections: ReturnType<ConnectionTracker['stats']> | null;
  reputation: ReturnType<Reputation['stats']> | null;
  monitor: ReturnType<SecurityMonitor['stats']> | null;
  /** The limiters of routes, by name. */
  routes: Record<string, ReturnType<RateLimiter['stats']> | null>;
}

/** How a thread's servers ended. */
export interface GuardShutdown {
  /** Whether all connections had gone in time, and none was reset. */
  drained: boolean;
  /**
   * How many were ended after the timeout, or as a request's head did not come to its end; with those that the system
   * reset as they still waited to be accepted.
   */
  forced: number;
}

/** Node's request, or what a framework made of it. */
export type GuardedRequest =
  | IncomingMessage
  | Http2ServerRequest
  | { raw: IncomingMessage | Http2ServerRequest };

/** Fastify's reply, said without Fastify's types. */
export interface GuardedReply {
  raw: ServerResponse | Http2ServerResponse;
  header(name: string, value: string): unknown;
  getHeader(name: string): unknown;
}

/** A guard as Express takes it, said without Express's types. */
export interface GuardMiddleware {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  readonly guard: Guard;
}

/** A guard as Fastify takes it, said without Fastify's types. */
export type GuardPlugin = (instance: object, options: object) => Promise<void>;

/** Answers refused requests as the framework that the guard is used with has it. */
export type GuardHandler = (...given: never[]) => unknown;

export interface Guard {
  readonly name: string;
  /** The limiter of every route without one of its own; null when `rateLimit` is false. */
  readonly limiter: RateLimiter | null;
  /** null without `connections`. */
  readonly tracker: ConnectionTracker | null;
  /** null without `reputation`. */
  readonly reputation: Reputation | null;
  /** null without `monitor`. */
  readonly monitor: SecurityMonitor | null;

  /**
   * From now on the server's connections are judged at accept: bans first, then caps. Adapters attach by themselves:
   * Fastify's at once, Express's with the first request if there are bans or caps.
   *
   * @throws {SluiceError} `INVALID_OPTION` for what is no server.
   */
  attach(server: Server): this;

  /**
   * Decides on a request and charges it: the ban first, then the connection, then the rate. A promise only where
   * a function given as an option answered with one. Send `headers`, and to a refused request `status` and `body`.
   *
   * `res` is where the answer is seen, for `record` and `countOnly`; the requests of attached servers know theirs. What the
   * page has set on it is taken off where the request is refused.
   *
   * @throws {SluiceError} `INVALID_VALUE` for a request or a response that is no object.
   */
  check(
    req: GuardedRequest,
    res?: ServerResponse | Http2ServerResponse,
  ): GuardDecision | Promise<GuardDecision>;
  /**
   * Asks by hand in Fastify, beside what the plugin decides: charges the limiter of the request's route, or the guard's where
   * the route has none. Headers are written onto the reply; a refused request is the caller's to answer, with `status` and
   * `body`.
   */
  check(request: { raw: IncomingMessage | Http2ServerRequest }, reply: GuardedReply): Promise<GuardDecision>;

  /**
   * The client behind a request, as this guard sees it: for logs, `recordSuccess`, `unban`, sessions.
   *
   * @throws {SluiceError} `INVALID_VALUE` for a request that is no object.
   */
  clientOf(req: GuardedRequest): GuardClient;

  /**
   * Tells reputation and monitor an event of the application's own, a failed login say. It is `weight` failures
   * (default 1; 0 for none). The request's answer is not recorded as well then.
   *
   * @throws {SluiceError} `INVALID_VALUE` for the request, the event or the detail, `INVALID_OPTION` for the weight.
   */
  record(req: GuardedRequest, event: string, detail?: string, options?: { weight?: number }): void;

  /** The guard as middleware for Express 4 and 5: the same with each call. */
  express(): GuardMiddleware;

  /** The guard as plugin for Fastify 5. */
  readonly fastify: GuardPlugin;

  /** Costs a pass over the tables of all parts: for a metrics endpoint, not for every request. */
  stats(): GuardStats;

  /**
   * `stats()` in the text format of Prometheus, for a page of this guard alone: `metrics()` of the package has all guards
   * on one. Without `comments` there are no lines of help and type, which a page may have only once.
   */
  metrics(options?: { comments?: boolean }): string;

  /**
   * Closes the servers of this thread that the guard is attached to, and waits for their connections, until `timeout`
   * (default `'10s'`); what is left then is ended. A second call gives the same promise.
   */
  shutdown(options?: { timeout?: Duration }): Promise<GuardShutdown>;
}

/**
 * The guard of this name (default `'default'`): what `sluice/express` and `sluice/fastify` put before a server, for
 * several frameworks at once, or none. The first call in the process creates it, in whatever thread; others attach,
 * with the same options or without. `Request` is what its functions are given.
 *
 * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND` for a reputation or a
 *   monitor given by name that is not there.
 */
export function createGuard<Request = IncomingMessage>(
  name?: string,
  options?: Omit<GuardOptions<Request, GuardHandler>, 'name'>,
): Guard;

/**
 * What all guards of the process count, in whatever thread they were made, as one page in the text format of Prometheus.
 * Costs a pass over the tables of all their parts.
 *
 * @throws {SluiceError} `INVALID_OPTION` for a guard that there is not.
 */
export function metrics(options?: {
  /** Only these, by themselves or by name. */
  guards?: readonly (Guard | string)[];
}): string;
