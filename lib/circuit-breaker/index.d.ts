import type { Duration, OnMismatch, SluiceError } from '../runtime';

/** Over which calls a {@link CircuitBreaker} takes its rates: the last so many, or those of the last so long. */
export type CircuitWindow =
  | {
      /** An integer from 1 to 10 000. */
      calls: number;
      time?: never;
    }
  | {
      /** Forgets by tenths of its length. */
      time: Duration;
      calls?: never;
    };

/** What {@link CircuitBreaker} takes. All threads agree on it, except for `errorFilter` and `onMismatch`. */
export interface CircuitBreakerOptions {
  /**
   * The share of failed calls that opens a circuit, above 0 and up to 1.
   * @default 0.5
   */
  failureRate?: number;
  /** A call that takes longer is slow, whether it fails or not. Without it no call is. */
  slowCallDuration?: Duration;
  /**
   * The share of slow calls that opens a circuit, above 0 and up to 1.
   * @default 1
   */
  slowCallRate?: number;
  /**
   * Fewer calls in the window open nothing. A window of fewer calls counts when it is full.
   * @default 10
   */
  minimumCalls?: number;
  /** @default { calls: 100 } */
  window?: CircuitWindow;
  /** How long an open circuit refuses before it is tried. */
  openFor: Duration;
  /**
   * By how much each opening in a row is longer than the last, a number from 1.
   * @default 1
   */
  backoff?: number;
  /** The longest opening; `openFor` at least. */
  maxOpenFor?: Duration;
  /**
   * The share that chance may take off each opening, from 0 to 1.
   * @default 0
   */
  jitter?: number;
  /**
   * How many calls try a half-open circuit, over all threads; by all of them it is judged.
   * @default 1
   */
  halfOpenCalls?: number;
  /** How long a call of `fire` may take, and for how long a trial's permit is leased; without it for `openFor`. */
  timeout?: Duration;
  /**
   * Most peers remembered at once. Beyond it, closed circuits that are not in use are forgotten.
   * @default 10_000
   */
  maxPeers?: number;
  /**
   * Decides how a call that fails with this error counts: `true` as a success, `false` as a failure, `'ignore'` not at
   * all. The call rejects with its error in any case. When the filter throws or returns a promise, the call counts as
   * a failure, with one warning. The filter is not called for aborted calls. It belongs to this object: it is not
   * compared, and an object that is given nothing else but `onMismatch` attaches.
   */
  errorFilter?: (error: unknown) => boolean | 'ignore';
  /**
   * What happens when these options differ from those in force. Fixed at creation: `window` and `maxPeers`.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

export interface FireOptions {
  /**
   * Aborts the call: it rejects with the signal's reason, and the signal that `fn` was given aborts with the same. The
   * call is neither success nor failure, unless the reason is a `TimeoutError`, which is a failure.
   */
  signal?: AbortSignal;
}

/**
 * - `'closed'`: calls pass, and are counted.
 * - `'open'`: they are refused, until `openFor` is over and somebody asks.
 * - `'halfOpen'`: so many try it.
 * - `'isolated'`: they are refused until `reset` or `disable`.
 * - `'disabled'`: they pass and are not counted until `reset` or `isolate`.
 */
export type CircuitState = 'closed' | 'open' | 'halfOpen' | 'isolated' | 'disabled';

/** A circuit has another state. */
export interface CircuitChange {
  peer: string;
  /** Its state now. */
  state: CircuitState;
  /** Its state before. */
  from: CircuitState;
  /** The calls that led to it; 0 where it was changed by hand, or by time. */
  calls: number;
  failures: number;
  slowCalls: number;
  /** With `'open'` only: for how long, in milliseconds. */
  openForMs?: number;
  /** Changes just before this one that were dropped, as more than 1024 waited. */
  missed?: number;
}

/** One circuit at this moment. */
export interface CircuitStats {
  state: CircuitState;
  /** Calls in the window of a closed circuit, or trials of a half-open one that reported. */
  calls: number;
  failures: number;
  slowCalls: number;
  /** Of these calls; 0 without any. */
  failureRate: number;
  slowCallRate: number;
  /** How often in a row it opened since it was last closed. */
  openings: number;
  /** Until an open circuit may be tried, in milliseconds; else null. */
  retryAfterMs: number | null;
}

/** Sums over all threads since creation; `peers` of now. */
export interface CircuitBreakerStats {
  successes: number;
  failures: number;
  /** Calls that took longer than `slowCallDuration`, good and failed ones. */
  slowCalls: number;
  /** Calls that were not let pass. */
  refused: number;
  /** Reports that came too late to count: for an earlier state, or a trial whose place another has taken. */
  ignored: number;
  /** How often circuits opened by themselves. */
  opened: number;
  /** Closed circuits forgotten for newcomers. */
  evicted: number;
  /** Calls that passed uncounted, as there was no place for their peer. */
  untracked: number;
  /** Circuits by state; peers that are not remembered are closed. */
  peers: Record<CircuitState, number>;
}

/** What `fire` rejects with when a circuit refuses. */
export interface BreakerOpenError extends SluiceError {
  readonly code: 'ERR_SLUICE_BREAKER_OPEN';
  readonly peer: string;
  readonly state: 'open' | 'halfOpen' | 'isolated';
  /** Until it is worth another try, in milliseconds; null where that is not known. */
  readonly retryAfterMs: number | null;
}

/**
 * Leave for one call. The first of its methods that is called counts, the others do nothing; a report counts only in
 * the state of the circuit in which the permit was given. That of a trial is leased for `timeout`, or else `openFor`,
 * and comes back at once when its thread ends. Made by a {@link CircuitBreaker} only.
 */
export interface Permit {
  /** The call was good. It took so many milliseconds, or those since the permit was given. */
  success(durationMs?: number): void;
  /** The call failed; `errorFilter` may decide otherwise. With an `AbortError` it equals `release()`. */
  failure(error?: unknown): void;
  /** No call was made. */
  release(): void;
  [Symbol.dispose](): void;
}

/**
 * Refuses calls to a peer that fails, so that it can recover and callers need not wait. Each peer has a circuit,
 * which all threads share.
 *
 * A peer is a non-empty string without lone surrogates, else `INVALID_KEY`. Every method throws `CLOSED` after
 * `CircuitBreaker.destroy`.
 */
export class CircuitBreaker {
  /**
   * Creates the breaker of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`.
   */
  constructor(
    name: string,
    options?: CircuitBreakerOptions | Pick<CircuitBreakerOptions, 'errorFilter' | 'onMismatch'>,
  );

  /** Ends the breaker in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Calls `fn` if the circuit of the peer lets it pass, and counts what comes of it. Settles as `fn` does, or rejects
   * with `BREAKER_OPEN` (a {@link BreakerOpenError}), or with `TIMEOUT` after `timeout`; then the signal, which is this
   * call's own, aborts. A `fn` that declares no parameter is given none.
   *
   * A call that `options.signal` aborts, or that rejects with an `AbortError`, is neither success nor failure: a
   * trial's place becomes free, and the circuit stays half open.
   */
  fire<Value>(
    peer: string,
    fn: (signal: AbortSignal) => Value | PromiseLike<Value>,
    options?: FireOptions,
  ): Promise<Value>;

  /**
   * A function that fires `fn` with its own arguments; the signal follows them where `fn` declares more parameters than
   * it was given. `options.signal` aborts all of its calls.
   */
  wrap<Args extends unknown[], Value>(
    peer: string,
    fn: (...args: [...Args, signal: AbortSignal]) => Value | PromiseLike<Value>,
    options?: FireOptions,
  ): (...args: Args) => Promise<Value>;
  wrap<Args extends unknown[], Value>(
    peer: string,
    fn: (...args: Args) => Value | PromiseLike<Value>,
    options?: FireOptions,
  ): (...args: Args) => Promise<Value>;

  /**
   * From now on a call of this object's `fire` that would reject settles as `fn` does instead; mistakes, and calls that
   * their caller aborted, still reject. What is counted stays the same.
   */
  fallback(fn: (error: unknown, peer: string) => unknown): this;

  /** Leave for one call that you make and report yourself, or null. */
  tryAcquire(peer: string): Permit | null;

  /** An open circuit stays open until a call begins to try it. */
  state(peer: string): CircuitState;

  /** Refuses all calls until `reset` or `disable`. */
  isolate(peer: string): void;

  /** Lets all calls pass, and counts none, until `reset` or `isolate`. */
  disable(peer: string): void;

  /** Closes the circuit, whatever its state, and forgets its calls. */
  reset(peer: string): void;

  /**
   * Calls the listener for each change of any thread from now on, in order: `'open'` for the states `'open'` and
   * `'isolated'`, `'close'` for `'closed'` and `'disabled'`. It keeps no thread alive.
   */
  on(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;
  once(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;
  off(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;

  /** Costs one pass over the circuits. */
  stats(): CircuitBreakerStats;
  /** One circuit. */
  stats(peer: string): CircuitStats;

  /** Everything there is to tell, for a metrics endpoint. */
  toJSON(): CircuitBreakerStats & { name: string; circuits: Record<string, CircuitStats> };
}
