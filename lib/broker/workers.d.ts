import type { WorkerOptions } from 'node:worker_threads';
import type { Duration, SluiceError } from '../runtime';

export interface RestartOptions {
  /**
   * Most restarts within `window`, over the whole group; then the group gives up.
   * @default 10
   */
  limit?: number;
  /** @default '1m' */
  window?: Duration;
  /**
   * Pause before a restart. Each further death in a row doubles it.
   * @default '100ms'
   */
  backoff?: Duration;
  /**
   * The longest pause. After this much uptime, a death counts as the first in a row.
   * @default '10s', or `backoff` if that is longer
   */
  maxBackoff?: Duration;
}

/**
 * Any other option is one of Node's `Worker`, passed on unchanged. Limits in `resourceLimits` that the runtime does not keep
 * are `ERR_SLUICE_UNSUPPORTED`: all of them on Bun, `stackSizeMb` on Deno.
 */
export interface SpawnOptions extends WorkerOptions {
  /**
   * Number of workers, 1 to 1024.
   * @default 1
   */
  count?: number;
  /** When a worker that ends without being asked is restarted; `false`: never. */
  restart?: RestartOptions | false;
  /**
   * How long a worker may take to join the broker.
   * @default '30s'
   */
  startTimeout?: Duration;
}

export interface LeaveOptions {
  /**
   * How long workers may take to finish their work and end; then they are terminated.
   * @default '10s'
   */
  timeout?: Duration;
}

export interface WorkerState {
  /** `null` while no worker is there. */
  threadId: number | null;
  /** `null` until it has joined. */
  peerId: string | null;
  /** `'restarting'`: it died, and the next one starts after the back-off. */
  state: 'starting' | 'up' | 'closing' | 'restarting';
  /** How often a worker in this slot died and was replaced. */
  restarts: number;
  /** UTC milliseconds; `null` while no worker is there. */
  startedAt: number | null;
}

export interface WorkerStart {
  threadId: number;
  peerId: string;
}

export interface WorkerExit {
  /** `null` if Node could not start it. */
  threadId: number | null;
  /** `null` if it had not joined. */
  peerId: string | null;
  /** `null` if Node could not start it. */
  code: number | null;
  /** What it threw and did not catch. */
  error: unknown;
  /** Whether the group asked it to end. */
  asked: boolean;
}

export interface WorkerRestart {
  /** Of the worker that died. */
  threadId: number | null;
  peerId: string | null;
  delayMs: number;
  error: unknown;
}

/** Workers that a broker has spawned and supervises, each with its own peer. */
export interface WorkerGroup {
  /** The workers as of now. */
  readonly workers: WorkerState[];

  /**
   * Replaces the workers one after the other. When the new worker has joined and serves at least the endpoints of the old
   * one, the old one withdraws its endpoints, finishes its work and ends. No call is lost. Rejects with `SPAWN_FAILED` if a
   * new worker does not get that far; it is terminated then, and the workers not yet replaced stay.
   */
  restart(options?: LeaveOptions): Promise<void>;

  /** Resolves when there are `count` workers. Surplus workers leave as in a restart. */
  scale(count: number, options?: LeaveOptions): Promise<void>;

  /** Ends all workers: each finishes its work, and is terminated if that takes longer than `timeout`. */
  close(options?: LeaveOptions): Promise<void>;

  /** Whether the workers keep this thread alive; they do by default. A worker that was asked to leave always does. */
  ref(): this;
  unref(): this;

  /** A worker is up. */
  on(event: 'start', listener: (worker: WorkerStart) => void): this;
  /** A worker has ended, asked or not. */
  on(event: 'exit', listener: (worker: WorkerExit) => void): this;
  /** A worker died and will be restarted after `delayMs`. */
  on(event: 'restart', listener: (worker: WorkerRestart) => void): this;
  /** Workers died too often: none is restarted from now on. Those that are up continue. */
  on(event: 'failed', listener: (error: SluiceError) => void): this;
  once(event: 'start', listener: (worker: WorkerStart) => void): this;
  once(event: 'exit', listener: (worker: WorkerExit) => void): this;
  once(event: 'restart', listener: (worker: WorkerRestart) => void): this;
  once(event: 'failed', listener: (error: SluiceError) => void): this;
  off(event: 'start', listener: (worker: WorkerStart) => void): this;
  off(event: 'exit', listener: (worker: WorkerExit) => void): this;
  off(event: 'restart', listener: (worker: WorkerRestart) => void): this;
  off(event: 'failed', listener: (error: SluiceError) => void): this;
}
