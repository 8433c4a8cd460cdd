import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import type { Duration, OnMismatch } from '../runtime';

export type LifecycleState = 'starting' | 'running' | 'draining' | 'stopped';

export interface ShutdownOptions {
  /** Why, for the report, for hooks and for the errors of refused work. That of the first caller counts. */
  reason?: string;
  /**
   * How long the shutdown may take after `delay`; what is left then is ended. For a shutdown in progress, this can only
   * shorten the time.
   * @default '10s'
   */
  timeout?: Duration;
  /**
   * How long servers go on serving while no longer ready: as long as a load balancer takes to notice.
   * @default 0
   */
  delay?: Duration;
  /**
   * How long all hooks of a thread with `when: 'drained'` may take together, from the end of its drain on, however late
   * that is. For a shutdown in progress, this can only shorten the time.
   * @default '5s'
   */
  hooksTimeout?: Duration;
}

/** The outcome of a hook. */
export type HookOutcome = { name: string; ok: true } | { name: string; ok: false; error: Error };

/** The report of one thread. */
export interface ThreadShutdownReport {
  /** False for a thread that was suspended past the deadline. */
  responded: boolean;
  /** Whether nothing was forced, reset or left. */
  drained: boolean;
  /** Connections that were ended: at the deadline, or because a head or a handshake did not arrive whole in time. */
  forced: number;
  /** Connections that closed since the shutdown began, including those that were forced. */
  connectionsClosed: number;
  /**
   * Connections that the system reset together with the listening socket, because they were in the listen queue at the
   * deadline. 1 where the system does not report how many there were.
   */
  connectionsReset: number;
  /** Tracked work that had not ended. */
  tasksLeft: number;
  /** In the order of registration. */
  hooks: HookOutcome[];
  /** Milliseconds that the hooks with `when: 'drained'` took. */
  hooksMs: number;
}

/** The report of a shutdown: sums over all threads; `hooksMs` is the longest time. */
export interface ShutdownReport extends Omit<ThreadShutdownReport, 'responded'> {
  /** As the first caller gave it; null without one. */
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
   * `'draining'` hooks start when servers close. `'drained'` hooks start when connections and work of this thread have
   * ended, or their time has; they have a time of their own.
   * @default 'draining'
   */
  when?: 'draining' | 'drained';
}

export interface SignalOptions extends Omit<ShutdownOptions, 'reason'> {
  /** @default ['SIGTERM', 'SIGINT'] */
  signals?: NodeJS.Signals[];
  /**
   * Exit at the end of the shutdown: with 0 when it drained and all hooks succeeded, else with 1. With false, the process
   * ends when nothing is left to do, and a second signal ends the time of the shutdown and of its hooks.
   * @default true
   */
  exit?: boolean;
}

export interface HealthOptions {
  /** 200 until the lifecycle has stopped. @default '/healthz' */
  livePath?: string;
  /** 200 while the lifecycle is running. @default '/readyz' */
  readyPath?: string;
}

export interface LifecycleChange {
  state: LifecycleState;
  /** Changes that were dropped before this one, because this thread did not read them in time. */
  missed?: number;
}

/** A part of the work: cancelled with its lifecycle, with the token above it, or on its own, in all threads. */
export interface LifecycleToken {
  readonly name: string;
  /** At this moment, whichever thread cancelled it. A native call, for loops that do not return to the event loop. */
  readonly isCancelled: boolean;
  /** Aborts in the next turn of this thread, with a `SHUTTING_DOWN` error as its reason. */
  readonly signal: AbortSignal;
  /** The token of this name below this one. It lives as long as the lifecycle, so names should be few. */
  child(name: string): LifecycleToken;
  /** Cancels it and those below it, in all threads; false when it was cancelled already. */
  cancel(reason?: string): boolean;
  /**
   * Makes the shutdown wait for the promise, and returns it. A function is called with the signal. Once the token was
   * cancelled it is not called, and the promise rejects with `SHUTTING_DOWN`.
   */
  track<Work extends Promise<unknown>>(work: Work): Work;
  track<Result>(work: PromiseLike<Result>): Promise<Result>;
  track<Result>(work: (signal: AbortSignal) => Result | PromiseLike<Result>): Promise<Result>;
}

/** Options of {@link Lifecycle}. */
export interface LifecycleOptions {
  /** As for every named component. A lifecycle has no other options, so none can differ. */
  onMismatch?: OnMismatch;
}

/** One state machine over all threads: starting, running, draining, stopped. */
export class Lifecycle {
  /**
   * Creates the lifecycle of this name, or attaches to it. This thread is a member from now on, until it ends.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`.
   */
  constructor(name: string, options?: LifecycleOptions);

  /** Destroys the lifecycle in all threads; false when there was none. Pending reports reject with `CLOSED`. */
  static destroy(name: string): boolean;

  readonly name: string;
  /** At this moment, whichever thread changed it. */
  readonly state: LifecycleState;
  /** Whether a shutdown has begun. As current as `state`, and made for hot loops. */
  readonly isCancelled: boolean;
  /** Aborts in the next turn of this thread after a shutdown began, with a `SHUTTING_DOWN` error as its reason. */
  readonly signal: AbortSignal;

  /** Moves from starting to running, for all threads. No effect once it is running or shuts down. */
  ready(): this;

  /** The token of this name, the same in all threads. It lives as long as the lifecycle, so names should be few. */
  child(name: string): LifecycleToken;

  /**
   * Makes the shutdown wait for the promise, and returns it. A function is called with the signal. Once a shutdown has
   * begun it is not called, and the promise rejects with `SHUTTING_DOWN`. Once it has ended, promises reject as well.
   */
  track<Work extends Promise<unknown>>(work: Work): Work;
  track<Result>(work: PromiseLike<Result>): Promise<Result>;
  track<Result>(work: (signal: AbortSignal) => Result | PromiseLike<Result>): Promise<Result>;

  /**
   * Runs `fn` when this thread shuts down, concurrently with its other hooks.
   *
   * @throws {SluiceError} `SHUTTING_DOWN` once a shutdown has begun, `INVALID_OPTION`.
   */
  onShutdown(fn: (shutdown: { reason: string | null }) => unknown, options?: ShutdownHookOptions): this;

  /** The server closes with the lifecycle. Idempotent. A server that listens after a shutdown began closes at once. */
  attach(server: Server): this;

  /**
   * Shuts down all threads and waits for them. Every call, in any thread, resolves with the same report. Rejects with
   * `INVALID_OPTION` or `CLOSED`.
   */
  shutdown(options?: ShutdownOptions): Promise<ShutdownReport>;

  /**
   * The first signal shuts down. The second exits with 128 plus its number; the same kind again within 500 ms counts as one
   * signal. In the main thread only. Returns a function that removes the handlers.
   *
   * @throws {SluiceError} `UNSUPPORTED` in another thread, `INVALID_OPTION`.
   */
  handleSignals(options?: SignalOptions): () => void;

  /** Middleware that answers probes, for Express or a plain server. Returns true when it has answered. */
  health(
    options?: HealthOptions,
  ): (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void) => boolean;

  /** A plugin for Fastify 5 that answers probes and attaches its server. Its options are those of `health`. */
  readonly fastify: (instance: object, options: HealthOptions) => Promise<void>;

  /** Calls the listener for each state from now on. It does not keep the thread alive. */
  on(event: 'change', listener: (change: LifecycleChange) => void): this;
  once(event: 'change', listener: (change: LifecycleChange) => void): this;
  off(event: 'change', listener: (change: LifecycleChange) => void): this;
}
