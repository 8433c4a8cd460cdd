export interface InspectOptions {
  /**
   * Whether `npx sluice` may act: ban, unban, block, reset. The same in every thread that calls `inspect()`.
   *
   * @default false
   */
  actions?: boolean;
  /**
   * How a client's key is shown.
   *
   * @default addresses whole, of other keys 6 characters and a hash
   */
  showKey?: (key: string) => string;
  /**
   * What the process is called in lists, 1 to 80 characters.
   *
   * @default the file name of the program
   */
  title?: string;
}

/** A call of `inspect()`. One thread of the process serves the socket; the others stand by. */
export interface Inspection {
  /** `'failed'`: the socket could not be opened; a process warning says why. */
  readonly state: 'serving' | 'standby' | 'failed' | 'closed';
  /** The path of the socket, where this thread serves it; else `null`. */
  readonly path: string | null;
  /** Resolves with the state once the socket is open, or it is clear that this thread does not open it now. */
  ready(): Promise<'serving' | 'standby' | 'failed' | 'closed'>;
  /** Gives up this thread's part. Where it served the socket, the next thread that called `inspect()` takes over. */
  close(): Promise<void>;
}

/**
 * Lets `npx sluice` see this process, and with `actions: true` act on it, by a socket in a directory that only its user can
 * enter. It keeps no thread alive. The first dashboard or inspection of the process starts what it shows of the past.
 *
 * @throws {SluiceError} `INVALID_OPTION`, `CONFIG_MISMATCH` where another thread decided otherwise about `actions`.
 */
export function inspect(options?: InspectOptions): Inspection;
