import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { Server } from 'node:net';
import type { clientKey } from '../client-key';
import type { ConnectionTracker } from '../connection-tracker';
import type { Dashboard, DashboardOptions } from '../dashboard';
import type { LoadShedder } from '../load-shedder';
import type { Decision, RateLimiter } from '../rate-limiter';
import type { Reputation } from '../reputation';
import type { Duration } from '../runtime';
import type { SecurityMonitor } from '../security-monitor';
import type { GuardOptions } from './options';

export * from './options';

/** The client behind a request. */
export interface GuardClient {
  /** The whole address; null for an unknown client. */
  readonly address: string | null;
  /** The key that its rate is counted by, by default: its {@link clientKey}; `'unknown'` without an address. */
  readonly key: string;
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

/** A limiter's decision on a request. */
export interface RateDecision extends Decision {
  /** Milliseconds until more quota is available, rounded up; 0 when all is. `t` of `RateLimit`. */
  moreAfterMs: number;
}

/** The reason of a refusal, and the answer to it. */
export interface Refusal {
  readonly reason: 'quota' | 'connections' | 'ban' | 'concurrency' | 'key' | 'address' | 'overload';
  /** 429, 503, 403; 400 without a key, and for a client that has reset its connection before its address was known. */
  readonly status: number;
  /** Infinity when waiting does not help. */
  readonly retryAfterMs: number;
  /** null when no limiter decided. */
  readonly decision: RateDecision | null;
  readonly problem: Problem;
}

/** A guard's decision on one request. */
export interface GuardDecision {
  readonly outcome: 'allowed' | 'refused' | 'skipped' | 'fault';
  /** The client, as `guard.clientOf(req)` returns it. */
  readonly client: GuardClient;
  /** Whether the request passes. */
  readonly allowed: boolean;
  /** The status of the answer to a refused request. */
  readonly status: number | undefined;
  /** The headers for the client, whether it is served or refused. Created anew with each read. */
  readonly headers: Record<string, string>;
  /** The answer to a refused request: a {@link Problem} as JSON. */
  readonly body: string | undefined;
  /** null when no limiter decided. */
  readonly decision: RateDecision | null;
  readonly refusal: Refusal | null;
}

/** Counts over all threads; null for a part that the guard does not have. */
export interface GuardStats {
  /** Requests that passed; that were refused; that passed only because of `dryRun`; that were skipped. */
  allowed: number;
  refused: number;
  dryRefused: number;
  skipped: number;
  /** `refused`, by reason. */
  refusedBy: {
    quota: number;
    connections: number;
    ban: number;
    /** Only of a guard with `concurrency`. */
    concurrency?: number;
    /** Only of a guard with `overload`. */
    overload?: number;
  };
  /** Sockets refused at accept, whose client is banned or has reset them before its address was known. */
  refusedAtAccept: number;
  /** Charges taken back, with `countOnly` and `concurrency`. */
  refunded: number;
  /** Requests that the reputation or the monitor recorded. */
  recorded: number;
  /** Internal errors; each let its request pass. */
  faults: number;
  rateLimit: ReturnType<RateLimiter['stats']> | null;
  connections: ReturnType<ConnectionTracker['stats']> | null;
  /** Requests between their decision and the end of their answer; only of a guard with `concurrency`. */
  concurrency?: { inFlight: number };
  reputation: ReturnType<Reputation['stats']> | null;
  monitor: ReturnType<SecurityMonitor['stats']> | null;
  /** Not there without `overload`, as in `refusedBy`. */
  overload?: ReturnType<LoadShedder['stats']> | null;
  /** The limiters of routes, by name. */
  routes: Record<string, ReturnType<RateLimiter['stats']> | null>;
}

/** How a thread's servers ended. */
export interface GuardShutdown {
  /** Whether all connections had ended in time, and none was reset. */
  drained: boolean;
  /**
   * How many connections were ended after the timeout, or with an incomplete request head, and how many the system reset
   * before they were accepted.
   */
  forced: number;
}

/** Node's request, or what a framework made of it. */
export type GuardedRequest =
  | IncomingMessage
  | Http2ServerRequest
  | { raw: IncomingMessage | Http2ServerRequest };

/** Fastify's reply, without Fastify's types. */
export interface GuardedReply {
  raw: ServerResponse | Http2ServerResponse;
  header(name: string, value: string): unknown;
  getHeader(name: string): unknown;
}

/** A guard as Express middleware, without Express's types. */
export interface GuardMiddleware {
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void;
  readonly guard: Guard;
}

/** A guard as Koa middleware, without Koa's types. */
export interface GuardKoaMiddleware {
  (ctx: { req: IncomingMessage; res: ServerResponse }, next: () => Promise<unknown>): Promise<unknown>;
  readonly guard: Guard;
}

/** A guard as Hono middleware, without Hono's types. */
export interface GuardHonoMiddleware {
  (c: { env: unknown }, next: () => Promise<void>): Promise<Response | undefined>;
  readonly guard: Guard;
}

/** A listener of Node's `'request'`, over HTTP/1 or HTTP/2. */
export type GuardedListener<
  Request extends IncomingMessage | Http2ServerRequest = IncomingMessage,
  Reply extends ServerResponse | Http2ServerResponse = ServerResponse,
> = (req: Request, res: Reply) => void;

/** A guard before listeners of Node's servers. */
export interface GuardHttp {
  /** A listener that calls `listener` for admitted requests, and answers the others. */
  <
    Request extends IncomingMessage | Http2ServerRequest = IncomingMessage,
    Reply extends ServerResponse | Http2ServerResponse = ServerResponse,
  >(
    listener: GuardedListener<Request, Reply>,
  ): GuardedListener<Request, Reply>;
  /** The guard as middleware, for frameworks that pass Node's own request and response. */
  (
    req: IncomingMessage | Http2ServerRequest,
    res: ServerResponse | Http2ServerResponse,
    next: (error?: unknown) => void,
  ): void;
  readonly guard: Guard;
}

/** A guard as Fastify plugin, without Fastify's types. */
export type GuardPlugin = (instance: object, options: object) => Promise<void>;

/** Answers refused requests; its arguments are those of the framework. */
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
  /** null without `overload`. */
  readonly shedder: LoadShedder | null;

  /**
   * Decides on the server's connections at accept from now on: bans first, then caps. Adapters attach by themselves:
   * Fastify's at once, Express's with the first request if there are bans or caps.
   *
   * @throws {SluiceError} `INVALID_OPTION` for a value that is no server.
   */
  attach(server: Server): this;

  /**
   * Decides on a request and charges it: the ban first, then the connection, the load, the rate, and the requests in progress.
   * Returns a promise only where a
   * function among the options returned one, or a server keeps the counts. Send `headers`, and to a refused request `status` and `body`.
   *
   * `res` is where the answer is seen, for `record`, `countOnly` and `concurrency`, which does not count a request whose
   * answer is not seen; requests of attached servers know theirs. Headers of
   * the page are removed from it where the request is refused.
   *
   * @throws {SluiceError} `INVALID_VALUE` for a request or a response that is no object.
   */
  check(
    req: GuardedRequest,
    res?: ServerResponse | Http2ServerResponse,
  ): GuardDecision | Promise<GuardDecision>;
  /**
   * Decides in Fastify in addition to the plugin: charges the limiter of the request's route, or the guard's where the route
   * has none. Writes the headers onto the reply; the caller answers a refused request, with `status` and `body`.
   */
  check(request: { raw: IncomingMessage | Http2ServerRequest }, reply: GuardedReply): Promise<GuardDecision>;

  /**
   * The client behind a request, as this guard sees it: for logs, `recordSuccess`, `unban`, sessions.
   *
   * @throws {SluiceError} `INVALID_VALUE` for a request that is no object.
   */
  clientOf(req: GuardedRequest): GuardClient;

  /**
   * Records an event of the application's own, such as a failed login, in the reputation and the monitor. It counts as
   * `weight` failures (default 1; 0 for none). The request's answer is then not recorded as well.
   *
   * @throws {SluiceError} `INVALID_VALUE` for the request, the event or the detail, `INVALID_OPTION` for the weight.
   */
  record(req: GuardedRequest, event: string, detail?: string, options?: { weight?: number }): void;

  /** The guard as middleware for Express 4 and 5; the same with each call. */
  express(): GuardMiddleware;

  /** The guard as middleware for Koa 2 and 3; the same with each call. */
  koa(): GuardKoaMiddleware;

  /** The guard as middleware for Hono 4 behind `@hono/node-server`; the same with each call. */
  hono(): GuardHonoMiddleware;

  /** The guard before listeners of Node's own servers; the same with each call. */
  http(): GuardHttp;

  /** The guard as plugin for Fastify 5. */
  readonly fastify: GuardPlugin;

  /** Costs a pass over the tables of all parts: for a metrics endpoint, not for every request. */
  stats(): GuardStats;

  /**
   * `stats()` in the text format of Prometheus, for a page of this guard alone; `metrics()` of the package has all guards
   * on one page. `comments: false` leaves out the lines of help and type, which a page may have only once.
   */
  metrics(options?: { comments?: boolean }): string;

  /**
   * A page about this guard and its parts; `dashboard()` of the package is about all of them.
   *
   * @throws {SluiceError} `INVALID_OPTION`.
   */
  dashboard(options?: DashboardOptions): Dashboard;

  /**
   * Closes the servers of this thread that the guard is attached to, and waits for their connections until `timeout`
   * (default `'10s'`); connections that are left then are ended. A second call returns the same promise.
   */
  shutdown(options?: { timeout?: Duration }): Promise<GuardShutdown>;
}

/**
 * The guard of this name (default `'default'`): what `sluice/express` and `sluice/fastify` put before a server, for
 * several frameworks at once, or none. The first call in the process creates it, in any thread; later calls attach, with
 * the same options or without. `Request` is what its functions are given.
 *
 * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND` for a reputation or a
 *   monitor given by name that does not exist.
 */
export function createGuard<Request = IncomingMessage>(
  name?: string,
  options?: Omit<GuardOptions<Request, GuardHandler>, 'name'>,
): Guard;
