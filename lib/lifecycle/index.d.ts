import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import type { Duration, OnMismatch } from '../runtime';

export type LifecycleState = 'starting' | 'running' | 'draining' | 'stopped';

export interface ShutdownOptions {
  /** Why, for the report, for hooks, and for the errors of what is refused. The first caller's counts. */
  reason?: string;
  /**
   * From the end of `delay` on; what is left then is ended. Where a shutdown goes on, this can only shorten its time.
   * @default '10s'
   */
  timeout?: Duration;
  /**
   * For how long servers go on as before, no longer ready: as long as a load balancer takes to see it.
   * @default 0
   */
  delay?: Duration;
  /**
   * For all hooks of a thread with `when: 'drained'` together, from the end of its drain on, however late that is. Where a
   * shutdown goes on, this can only shorten their time.
   * @default '5s'
   */
  hooksTimeout?: Duration;
}

/** What became of a hook. */
export type HookOutcome = { name: string; ok: true } | { name: string; ok: false; error: Error };

/** What came of a shutdown in one thread. */
export interface ThreadShutdownReport {
  /** False for a thread that stood still past the deadline. */
  responded: boolean;
  /** Whether nothing was forced, reset or left. */
  drained: boolean;
  /** Connections that had to be ended: at the deadline, or as a request's head or a handshake did not come to its end. */
  forced: number;
  /** Connections that closed since the shutdown began, those that were forced included. */
  connectionsClosed: number;
  /**
   * Connections that the system reset together with the listening socket, as they still waited to be accepted at the
   * deadline. Where the system does not say how many waited, 1.
   */
  connectionsReset: number;
  /** Tracked work that had not ended. */
  tasksLeft: number;
  /** In the order in which they were registered. */
  hooks: HookOutcome[];
  /** How long the hooks with `when: 'drained'` took; of all threads the longest time. */
  hooksMs: number;
}

/** What came of a shutdown: sums over all threads, of `hooksMs` the longest. */
export interface ShutdownReport extends Omit<ThreadShutdownReport, 'responded'> {
  /** As the first caller said; null when it said nothing. */
  reason: string | null;
  /** By Node's `threadId`. */
  perThread: Record<string, ThreadShutdownReport>;
  durationMs: number;
}

export interface ShutdownHookOptions {
  /** For the report. @default the function's name, or its number */
  name?: string;
  /**
   * At most the rest of the shutdown's time; for `'drained'` hooks, at most `hooksTimeout`.
   * @default as long as the shutdown has; '2s' for `'drained'` hooks
   */
  timeout?: Duration;
  /**
   * `'draining'` begins together with the closing of servers, `'drained'` when connections and work of this thread have
   * ended or their time has; those have a time of their own then.
   * @default 'draining'
   */
  when?: 'draining' | 'drained';
}

export interface SignalOptions extends Omit<ShutdownOptions, 'reason'> {
  /** @default ['SIGTERM', 'SIGINT'] */
  signals?: NodeJS.Signals[];
  /**
   * Exit with the end of the shutdown: 0 when it drained and all hooks went well, else 1. With false, the process
   * ends when nothing is left to do, and a second signal ends the time of the shutdown and of its hooks.
   * @default true
   */
  exit?: boolean;
}

export interface HealthOptions {
  /** 200 until the lifecycle has stopped. @default '/healthz' */
  livePath?: string;
  /** 200 while it runs. @default '/readyz' */
  readyPath?: string;
}

export interface LifecycleChange {
  state: LifecycleState;
  /** Changes that were dropped before this one, as this thread did not look. */
  missed?: number;
}

/** A part of the work: cancelled with its lifecycle, with the token above it, or by itself, in all threads. */
export interface LifecycleToken {
  readonly name: string;
  /** At this moment, in any thread; a native call, for loops that have no turn to wait for. */
  readonly isCancelled: boolean;
  /** Aborts in the next turn of this thread, with a `SHUTTING_DOWN` error as its reason. */
  readonly signal: AbortSignal;
  /** The token of this name below this one. It stays as long as the lifecycle, so names should be few. */
  child(name: string): LifecycleToken;
  /** Cancels it and those below it, in all threads; false when it was cancelled. */
  cancel(reason?: string): boolean;
  /**
   * Has the shutdown wait for the promise, and returns it. A function is begun with the signal; after the token was
   * cancelled it is not, and the promise rejects with `SHUTTING_DOWN`.
   */
  track<Work extends Promise<unknown>>(work: Work): Work;
  track<Result>(work: PromiseLike<Result>): Promise<Result>;
  track<Result>(work: (signal: AbortSignal) => Result | PromiseLike<Result>): Promise<Result>;
}

/** What {@link Lifecycle} takes. */
export interface LifecycleOptions {
  /** As of every named component. A lifecycle has no other options, so none can differ. */
  onMismatch?: OnMismatch;
}

/** One state machine over all threads: starting, running, draining, stopped. */
export class Lifecycle {
  /**
   * Creates the lifecycle of this name, or attaches to it. This thread takes part in it from now on, until it ends.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`.
   */
  constructor(name: string, options?: LifecycleOptions);

  /** Ends the lifecycle in all threads; false when there was none. Who waits for a report gets `CLOSED`. */
  static destroy(name: string): boolean;

  readonly name: string;
  /** At this moment, in any thread. */
  readonly state: LifecycleState;
  /** Whether a shutdown has begun: as `state`, and for hot loops. */
  readonly isCancelled: boolean;
  /** Aborts in the next turn of this thread after a shutdown began, with a `SHUTTING_DOWN` error as its reason. */
  readonly signal: AbortSignal;

  /** From starting to running, for all threads; nothing where it runs or has begun to shut down. */
  ready(): this;

  /** The token of this name, the same in all threads. It stays as long as the lifecycle, so names should be few. */
  child(name: string): LifecycleToken;

  /**
   * Has the shutdown wait for the promise, and returns it. A function is begun with the signal; once a shutdown has
   * begun it is not, and the promise rejects with `SHUTTING_DOWN`. After the end that is so for promises as well.
   */
  track<Work extends Promise<unknown>>(work: Work): Work;
  track<Result>(work: PromiseLike<Result>): Promise<Result>;
  track<Result>(work: (signal: AbortSignal) => Result | PromiseLike<Result>): Promise<Result>;

  /**
   * Runs `fn` when this thread shuts down, together with the other hooks.
   *
   * @throws {SluiceError} `SHUTTING_DOWN` once a shutdown has begun, `INVALID_OPTION`.
   */
  onShutdown(fn: (shutdown: { reason: string | null }) => unknown, options?: ShutdownHookOptions): this;

  /** The server closes with the lifecycle. Idempotent. One that listens after a shutdown began closes at once. */
  attach(server: Server): this;

  /**
   * Shuts all threads down, and waits for them. Whoever calls, and however often, gets the same report. Rejects with
   * `INVALID_OPTION` or `CLOSED`.
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;

  /**
   * The first signal shuts down, the second exits with 128 and its number; the same kind again within 500 ms is one
   * signal. In the main thread only. Returns what takes the handlers away.
   *
   * @throws {SluiceError} `UNSUPPORTED` in another thread, `INVALID_OPTION`.
   */
  handleSignals(options?: SignalOptions): () => void;

  /** Answers probes, as middleware of Express, or of a plain server: true when it has answered. */
  health(
    options?: HealthOptions,
  ): (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void) => boolean;

  /** Answers probes, as plugin of Fastify 5 whose options are those of `health`, and attaches its server. */
  readonly fastify: (instance: object, options: HealthOptions) => Promise<void>;

  /** Calls the listener for each state of the lifecycle from now on. It keeps no thread alive. */
  on(event: 'change', listener: (change: LifecycleChange) => void): this;
  once(event: 'change', listener: (change: LifecycleChange) => void): this;
  off(event: 'change', listener: (change: LifecycleChange) => void): this;
}
