import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import type { ConnectionTrackerOptions } from '../connection-tracker';
import type { LoadShedderOptions, Priority } from '../load-shedder';
import type { LimiterScope, RateLimiterOptions } from '../rate-limiter';
import type { Reputation, ReputationOptions } from '../reputation';
import type { Duration, OnMismatch } from '../runtime';
import type { SecurityMonitor, SecurityMonitorOptions } from '../security-monitor';

/** A limit that is a function of the request, for example of the client's plan. What the client used stays used. */
export type DynamicRateLimit<Request> = Omit<RateLimiterOptions, 'limit' | 'burst' | 'limits'> & {
  /** Units per window, an integer from 1; the burst is the same. */
  limit: (request: Request) => number | Promise<number>;
  window: Duration;
  algorithm?: 'gcra' | 'fixed-window' | 'sliding-window';
};

/** What `key` may return. */
export type RequestKey = string | number | bigint | null | undefined;

/** Bounds on what is read and discarded of the bodies of refused requests, so that their clients can read the answer. */
export interface RefusedBodyOptions {
  /**
   * Most bytes of each request.
   *
   * @default 8 MiB
   */
  bytes?: number;
  /**
   * How long after the answer, at most an hour.
   *
   * @default '2s'
   */
  timeout?: Duration;
  /**
   * Most connections per thread that are read at once; others are closed with the answer.
   *
   * @default 64
   */
  connections?: number;
}

/** Which scripts of other origins may read a refusal. */
export interface CorsOptions {
  /** Any origin (`'*'`), one, or several. A RegExp matches anywhere in the origin, so anchor it. */
  origin: '*' | string | RegExp | readonly (string | RegExp)[];
  /**
   * Whether to allow credentials; not with `'*'`.
   *
   * @default false
   */
  credentials?: boolean;
  /**
   * Headers that they may read.
   *
   * @default `Retry-After` and those of `headers`
   */
  exposedHeaders?: readonly string[];
}

/** How many requests may be in progress at once, over all threads: at least one of the two. */
export interface ConcurrencyOptions {
  /** In all. Further ones are refused with 503. */
  max?: number;
  /** Of one client. Further ones are refused with 429. */
  maxPerClient?: number;
}

/** Options of a route's limit, or a guard's. `Request` is what the user's functions are given. */
export interface RuleOptions<Request, Handler> {
  /** Quota per key; `false` for none. Default of a guard: 100 requests per minute. */
  rateLimit?: RateLimiterOptions | DynamicRateLimit<Request> | false;
  /**
   * The key whose quota a request is charged to: a non-empty string, or a number or bigint, which is converted to text.
   * `''`, `NaN`, `null` and `undefined` are no key.
   *
   * @default the client's address
   */
  key?: (request: Request) => RequestKey | Promise<RequestKey>;
  /**
   * What happens to a request without a key: it is charged to its client's address (`'client'`), refused with 400
   * (`'refuse'`), or fails with an error (`'error'`).
   *
   * @default 'client'
   */
  keyFallback?: 'client' | 'refuse' | 'error';
  /**
   * How many units a request costs, a positive integer.
   *
   * @default 1
   */
  cost?: number | ((request: Request) => number | Promise<number>);
  /** Requests for which it returns true are neither charged nor refused. */
  skip?: (request: Request) => boolean | Promise<boolean>;
  /**
   * Whether CORS preflights are exempt from the limit: neither charged nor refused.
   *
   * @default false
   */
  skipPreflight?: boolean;
  /**
   * For how long a request beyond its quota waits for its moment, instead of being refused; `false` for a route that does
   * not wait as its guard says. It waits before its body is read, and stops when its client disconnects. Not with a
   * `limit` that is a function, nor with a scope of the fleet.
   *
   * @default requests do not wait
   */
  wait?: Duration | false;
  /**
   * Fastify's hook in which the rate is decided. A key from the body needs `'preValidation'`, one that a `preHandler` sets
   * needs `'preHandler'`. Bans and connections are decided in `onRequest`.
   *
   * @default 'onRequest'
   */
  hook?: 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler';
  /**
   * Charges only requests that fail (or succeed): the charge of the others is taken back once they are answered. A request
   * fails with a status from 400, or when its client disconnects before the answer.
   *
   * @default all requests count
   */
  countOnly?: 'failures' | 'successes';
  /**
   * Whether requests of this route carry credentials: an answer of 401 or 403 is then a failed login, also without an
   * `Authorization` header.
   *
   * @default false
   */
  login?: boolean;
  /** `false`: requests of this route are not counted by the guard's `concurrency`, such as streams. */
  concurrency?: false;
  /**
   * How much requests matter under `overload`: `'high'` is shed last, `'low'` first, `'exempt'` never. Of `concurrency.max`,
   * low requests fill at most 50 %, normal ones 90 %, high ones all; exempt ones are not counted. Without any priority in
   * the guard and its routes, each request may take any place. A function is called for each request, and returns at once:
   * not a promise.
   *
   * @default 'normal'
   */
  priority?: Priority | ((request: Request) => Priority);
  /** Answers refused requests instead of the guard. Status and headers are set when it is called. */
  handler?: Handler;
}

/** What is recorded of answers with a status. */
export interface RecordEntry {
  /** The event that the monitor records, and the reason that the reputation gets. */
  event: string;
  /**
   * How many failures the reputation counts, an integer from 0.
   *
   * @default 1; for 404 and 429 it is 0
   */
  weight?: number;
  /**
   * `'credentials'` records only where the request carried an `Authorization` header, or its route has `login: true`.
   *
   * @default `'credentials'` for 401 and 403, else `'always'`
   */
  when?: 'credentials' | 'always';
}

export interface GuardOptions<Request, Handler> extends Omit<RuleOptions<Request, Handler>, 'concurrency'> {
  /**
   * Names the guard and its parts. Guards of one name share them over all threads, and must agree on their options.
   * Options that are left out are those of the existing guard.
   *
   * @default 'default'
   */
  name?: string;
  /**
   * Caps on open connections.
   *
   * @default none
   */
  connections?: ConnectionTrackerOptions | false;
  /**
   * How many requests may be in progress at once, over all threads: from the decision to the end of the answer, or until
   * the client disconnects or the thread ends. A refused request gets its charge back.
   *
   * @default false
   */
  concurrency?: ConcurrencyOptions | false;
  /**
   * Bans: options of a {@link Reputation} of the guard's name, or an existing one, or its name. Default: none, so nothing
   * is banned unless it is configured.
   */
  reputation?: ReputationOptions | Reputation | string | false;
  /**
   * Rules on events: options of a {@link SecurityMonitor} of the guard's name, or an existing one, or its name. Rules that
   * ban do so in the guard's reputation, where the monitor's `reputation` is left out.
   *
   * @default none
   */
  monitor?: SecurityMonitorOptions | SecurityMonitor | string | false;
  /**
   * Sheds load by how long requests wait for the event loop of their thread: options of a {@link LoadShedder} of the guard's
   * name, or `true` for its defaults.
   *
   * @default none
   */
  overload?: LoadShedderOptions | boolean;
  /**
   * What reputation and monitor record of answers, by status: an event, or `false` for nothing. Statuses that are left out
   * have their default: 401 `'unauthorized'` and 403 `'forbidden'` where the request carried credentials, 404
   * `'not-found'` and 429 `'rate-limited'`, which are no failures. `false` records no answer.
   */
  record?: Readonly<Record<number, string | RecordEntry | false>> | false;
  /**
   * Proxies that are trusted to name the client: addresses, ranges, and the names `'loopback'`, `'linklocal'` and
   * `'uniquelocal'`. No failures are counted for their addresses.
   *
   * @default none
   */
  trustedProxies?: readonly string[];
  /**
   * The header in which trusted proxies name the client, such as `'forwarded'` (RFC 7239), `'x-real-ip'` or
   * `'cf-connecting-ip'`; or a function that is called for every request of Node's and returns the address.
   *
   * @default 'x-forwarded-for'
   */
  clientAddress?: string | ((request: IncomingMessage | Http2ServerRequest) => string);
  /**
   * The headers about the quota: those of the IETF draft (`'draft-8'`, or `true`), the same on refusals only
   * (`'refused'`), the older `X-RateLimit-*` (`'legacy'`), or none. `Retry-After` stays.
   *
   * @default 'draft-8'
   */
  headers?: boolean | 'draft-8' | 'refused' | 'legacy';
  /**
   * Which answers have `RateLimit-Policy`, of those with `RateLimit`: all, or the first of each connection (over HTTP/2 of
   * each session) for each limiter, and the next whenever its policies differ from those sent last. Behind a proxy that
   * keeps connections, only some clients then see it. An error with headers that have no `RateLimit-Policy`.
   *
   * @default 'always'
   */
  policyHeader?: 'always' | 'once-per-connection';
  /**
   * CORS headers of refusals that have none yet; `true` allows any origin.
   *
   * @default none
   */
  cors?: CorsOptions | boolean;
  /** What is read of a refused request's body; `false` closes its connection with the answer. */
  refusedBody?: RefusedBodyOptions | false;
  /** Whether to refuse nothing, but decide, charge, record and count as usual. */
  dryRun?: boolean;
  /**
   * The scope of the guard's limiters, of its reputation and of its connections, unless their own options name one. With
   * `{ redis }` decisions are awaited: `check` returns a promise, and sockets wait at accept. Beyond the process `UNSUPPORTED`
   * together with `concurrency`.
   *
   * @default 'process'
   */
  scope?: LimiterScope;
  /**
   * What happens when options differ from those of the existing guard; for its parts and the limiters of its routes too,
   * unless they have their own. `record`, `trustedProxies`, the header of `clientAddress` and the options
   * of the parts may change. Fixed at creation: which parts there are, the names of `reputation` and `monitor`, whether
   * the limit or `clientAddress` is a function, and `dryRun`.
   *
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}
