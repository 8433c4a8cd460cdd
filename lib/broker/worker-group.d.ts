import type { WorkerOptions } from 'node:worker_threads';
import type { Duration, SluiceError } from '../runtime';

export interface RestartOptions {
  /**
   * How often a worker may be started again within `window`, over the whole group; then the group gives up.
   * @default 10
   */
  limit?: number;
  /** @default '1m' */
  window?: Duration;
  /**
   * Wait before a restart. Each further death in a row doubles it.
   * @default '100ms'
   */
  backoff?: Duration;
  /**
   * The longest wait. A worker that was up for as long has done well: its death is the first of a row again.
   * @default '10s', or `backoff` where that is longer
   */
  maxBackoff?: Duration;
}

/** What is not listed here is an option of Node's `Worker` and given to each as it is. */
export interface SpawnOptions extends WorkerOptions {
  /**
   * How many workers, 1 to 1024.
   * @default 1
   */
  count?: number;
  /** When a worker that ends without having been asked is started again; `false` for never. */
  restart?: RestartOptions | false;
  /**
   * How long a worker may take until its peer has joined.
   * @default '30s'
   */
  startTimeout?: Duration;
}

export interface LeaveOptions {
  /**
   * How long workers may take to finish what they run and to end; then they are terminated.
   * @default '10s'
   */
  timeout?: Duration;
}

export interface WorkerState {
  /** `null` while nobody is there. */
  threadId: number | null;
  /** `null` until its peer has joined. */
  peerId: string | null;
  /** `'restarting'`: it died, and the next one is due after its back-off. */
  state: 'starting' | 'up' | 'closing' | 'restarting';
  /** How often a worker in this place died and was followed by another. */
  restarts: number;
  /** UTC in milliseconds; `null` while nobody is there. */
  startedAt: number | null;
}

export interface WorkerStart {
  threadId: number;
  peerId: string;
}

export interface WorkerExit {
  /** `null` where Node could not start it. */
  threadId: number | null;
  /** `null` where its peer had not joined. */
  peerId: string | null;
  /** `null` where Node could not start it. */
  code: number | null;
  /** What was thrown in it and not caught. */
  error: unknown;
  /** Whether the group had asked it to end. */
  asked: boolean;
}

export interface WorkerRestart {
  /** Of the worker that died. */
  threadId: number | null;
  peerId: string | null;
  delayMs: number;
  error: unknown;
}

/** Workers that a broker has spawned and looks after, each with a peer of its own. */
export interface WorkerGroup {
  /** As it is now. */
  readonly workers: WorkerState[];

  /**
   * Replaces the workers, one after the other: a new one is started, and when it has joined and serves at least the
   * endpoints of the old one, the old one withdraws its endpoints, finishes what it runs and ends. No call is lost.
   * Rejects with `SPAWN_FAILED` where a new one does not come that far; it is ended then, and those not yet replaced
   * stay.
   */
  restart(options?: LeaveOptions): Promise<void>;

  /** Resolves when there are so many workers. Those that are too many leave as in a restart. */
  scale(count: number, options?: LeaveOptions): Promise<void>;

  /** Ends all workers: each finishes what it runs, and is terminated where that takes longer than `timeout`. */
  close(options?: LeaveOptions): Promise<void>;

  /** Whether the workers keep this thread alive, as they do by default. One that was asked to leave does. */
  ref(): this;
  unref(): this;

  /** A worker is up. */
  on(event: 'start', listener: (worker: WorkerStart) => void): this;
  /** A worker has ended, asked or not. */
  on(event: 'exit', listener: (worker: WorkerExit) => void): this;
  /** A worker that died will be started again after `delayMs`. */
  on(event: 'restart', listener: (worker: WorkerRestart) => void): this;
  /** Workers died too often: nobody is started again from now on. Those that are up go on. */
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
