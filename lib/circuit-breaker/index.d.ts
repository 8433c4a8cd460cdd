import type { Duration, OnMismatch, SluiceError } from '../runtime';

/** The calls over which a {@link CircuitBreaker} computes its rates: the last N calls, or the calls of a period. */
export type CircuitWindow =
  | {
      /** An integer from 1 to 10 000. */
      calls: number;
      time?: never;
    }
  | {
      /** Calls leave the window by tenths of its length. */
      time: Duration;
      calls?: never;
    };

/** Options of {@link CircuitBreaker}. All threads share them, except for `errorFilter` and `onMismatch`. */
export interface CircuitBreakerOptions {
  /**
   * The share of failed calls that opens a circuit, above 0 and up to 1.
   * @default 0.5
   */
  failureRate?: number;
  /** A call that takes longer is slow, whether it fails or not. By default no call is slow. */
  slowCallDuration?: Duration;
  /**
   * The share of slow calls that opens a circuit, above 0 and up to 1.
   * @default 1
   */
  slowCallRate?: number;
  /**
   * With fewer calls in the window, the circuit does not open. A window smaller than this counts once it is full.
   * @default 10
   */
  minimumCalls?: number;
  /**
   * The calls over which rates are computed.
   * @default { calls: 100 }
   */
  window?: CircuitWindow;
  /** How long an open circuit refuses calls before it is tried. */
  openFor: Duration;
  /**
   * The factor by which consecutive openings grow, a number from 1.
   * @default 1
   */
  backoff?: number;
  /** The longest opening; at least `openFor`. */
  maxOpenFor?: Duration;
  /**
   * The share of each opening that a random jitter may remove, from 0 to 1.
   * @default 0
   */
  jitter?: number;
  /**
   * How many trial calls a half-open circuit admits, over all threads. It closes or opens once all of them have
   * reported.
   * @default 1
   */
  halfOpenCalls?: number;
  /**
   * How long a call of `fire` may take, and how long the permit of a trial is leased. Without it the lease is
   * `openFor`.
   */
  timeout?: Duration;
  /**
   * Most peers tracked at once. Beyond that, idle closed circuits are evicted.
   * @default 10_000
   */
  maxPeers?: number;
  /**
   * Decides how a call that fails with this error counts: `true` as a success, `false` as a failure, `'ignore'` not at
   * all. The call rejects with its error in any case. When the filter throws or returns a promise, the call counts as
   * a failure, with one warning. The filter is not called for aborted calls. It belongs to this object and is not
   * compared; with no other options but `onMismatch`, the object attaches.
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
   * Aborts the call: it rejects with the signal's reason, and the signal that `fn` received aborts with the same
   * reason. The call counts as neither success nor failure, unless the reason is a `TimeoutError`, which counts as a
   * failure.
   */
  signal?: AbortSignal;
}

/**
 * - `'closed'`: calls pass and are counted.
 * - `'open'`: calls are refused, until `openFor` is over and a call tries the circuit.
 * - `'halfOpen'`: `halfOpenCalls` trial calls pass.
 * - `'isolated'`: calls are refused until `reset` or `disable`.
 * - `'disabled'`: calls pass and are not counted until `reset` or `isolate`.
 */
export type CircuitState = 'closed' | 'open' | 'halfOpen' | 'isolated' | 'disabled';

/** A change of a circuit's state. */
export interface CircuitChange {
  peer: string;
  /** The state now. */
  state: CircuitState;
  /** The state before. */
  from: CircuitState;
  /** The calls that led to the change; 0 where it was changed by hand, or by time. */
  calls: number;
  failures: number;
  slowCalls: number;
  /** With `'open'` only: how long the circuit stays open, in milliseconds. */
  openForMs?: number;
  /** Changes just before this one that were dropped, as more than 1024 were pending. */
  missed?: number;
}

/** One circuit at this moment. */
export interface CircuitStats {
  state: CircuitState;
  /** Calls in the window of a closed circuit, or trial calls of a half-open circuit that have reported. */
  calls: number;
  failures: number;
  slowCalls: number;
  /** The share of these calls that failed; 0 without calls. */
  failureRate: number;
  /** The share of these calls that was slow; 0 without calls. */
  slowCallRate: number;
  /** Consecutive openings since the circuit was last closed. */
  openings: number;
  /** Milliseconds until an open circuit may be tried; else null. */
  retryAfterMs: number | null;
}

/** Sums over all threads since creation. `peers` is of now. */
export interface CircuitBreakerStats {
  successes: number;
  failures: number;
  /** Calls that took longer than `slowCallDuration`, successes and failures. */
  slowCalls: number;
  /** Calls that were refused. */
  refused: number;
  /** Reports that came too late to count: for an earlier state, or a trial whose place another call has taken. */
  ignored: number;
  /** How often circuits opened by themselves. */
  opened: number;
  /** Closed circuits evicted for new peers. */
  evicted: number;
  /** Calls that passed uncounted, as their peer could not be tracked. */
  untracked: number;
  /** Circuits by state. Peers that are not tracked are closed and not counted. */
  peers: Record<CircuitState, number>;
}

/** What `fire` rejects with when a circuit refuses. */
export interface BreakerOpenError extends SluiceError {
  readonly code: 'ERR_SLUICE_BREAKER_OPEN';
  readonly peer: string;
  readonly state: 'open' | 'halfOpen' | 'isolated';
  /** Milliseconds until a retry may pass; null where that is not known. */
  readonly retryAfterMs: number | null;
}

/**
 * Permission for one call. The first method call counts, later ones do nothing. A report counts only in the state of
 * the circuit in which the permit was acquired. The permit of a trial is leased for `timeout`, or else `openFor`, and
 * is released at once when its thread ends. Made by a {@link CircuitBreaker} only.
 */
export interface Permit {
  /** The call succeeded. By default it took the time since the permit was acquired. */
  success(durationMs?: number): void;
  /** The call failed, unless `errorFilter` decides otherwise. With an `AbortError` it equals `release()`. */
  failure(error?: unknown): void;
  /** No call was made. */
  release(): void;
  [Symbol.dispose](): void;
}

/**
 * Refuses calls to a target that fails, so that the target can recover and callers do not wait. Each target has a
 * circuit, which all threads share.
 *
 * A `peer` names the target of a call, such as a host. It is a non-empty string without lone surrogates, else
 * `INVALID_KEY`. Every method throws `CLOSED` after `CircuitBreaker.destroy`.
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
   * Calls `fn` if the circuit of the peer admits the call, and counts the outcome. Settles as `fn` does. Rejects with
   * `BREAKER_OPEN` (a {@link BreakerOpenError}) where the circuit refuses, and with `TIMEOUT` after `timeout`, when the
   * call's own signal aborts. A `fn` that declares no parameter receives no signal.
   *
   * A call that `options.signal` aborts, or that rejects with an `AbortError`, is neither success nor failure: the
   * place of a trial is free again, and the circuit stays half-open.
   */
  fire<Value>(
    peer: string,
    fn: (signal: AbortSignal) => Value | PromiseLike<Value>,
    options?: FireOptions,
  ): Promise<Value>;

  /**
   * Returns a function that fires `fn` with its arguments. The signal follows them where `fn` declares more parameters
   * than there are arguments. `options.signal` aborts all of its calls.
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
   * From now on, a call of this object's `fire` that would reject settles as `fn` does instead. Calls with invalid
   * arguments, and calls that their caller aborted, still reject. Counts do not change.
   */
  fallback(fn: (error: unknown, peer: string) => unknown): this;

  /** A permit for one call that you make and report yourself; null where the circuit refuses. */
  tryAcquire(peer: string): Permit | null;

  /** The state of the peer's circuit. An open circuit stays open until a call tries it. */
  state(peer: string): CircuitState;

  /** Refuses all calls to the peer until `reset` or `disable`. */
  isolate(peer: string): void;

  /** Lets all calls to the peer pass, and counts none, until `reset` or `isolate`. */
  disable(peer: string): void;

  /** Closes the circuit, whatever its state, and empties its window. */
  reset(peer: string): void;

  /**
   * Calls the listener for each later change by any thread, in order: `'open'` for the states `'open'` and
   * `'isolated'`, `'close'` for `'closed'` and `'disabled'`. A listener does not keep its thread alive.
   */
  on(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;
  once(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;
  off(event: 'open' | 'halfOpen' | 'close', listener: (change: CircuitChange) => void): this;

  /** Totals. Costs one pass over the circuits. */
  stats(): CircuitBreakerStats;
  /** The circuit of one peer. */
  stats(peer: string): CircuitStats;

  /** All statistics, for a metrics endpoint. */
  toJSON(): CircuitBreakerStats & { name: string; circuits: Record<string, CircuitStats> };
}
