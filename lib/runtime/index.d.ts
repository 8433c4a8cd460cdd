/**
 * A time: milliseconds as an integer, or a text of an integer and a unit, such as `'250ms'`, `'10s'`, `'5m'`,
 * `'1h'`, `'30d'`. At most 100 years.
 */
export type Duration = number | `${bigint}${'ms' | 's' | 'm' | 'h' | 'd'}`;

/**
 * What a construction does with options that differ from those of the instance of its name.
 *
 * - `'error'`: throws `CONFIG_MISMATCH`.
 * - `'reconfigure'`: puts them into force in all threads, with one process warning (`SLUICE_RECONFIGURED`) that names
 *   each change. Options that are left out count as their defaults. An option that is fixed at creation remains
 *   `CONFIG_MISMATCH`.
 */
export type OnMismatch = 'error' | 'reconfigure';

/** What went wrong, without the prefix: stable between versions, where the text of an error is not. */
type ErrorKind =
  | 'INVALID_OPTION'
  | 'INVALID_NAME'
  | 'INVALID_KEY'
  | 'INVALID_COST'
  | 'INVALID_ADDRESS'
  | 'INVALID_VALUE'
  | 'NOT_FOUND'
  | 'CONFIG_MISMATCH'
  | 'CLOSED'
  | 'TIMEOUT'
  | 'PEER_GONE'
  | 'NO_ENDPOINT'
  | 'DUPLICATE_ID'
  | 'BACKPRESSURE'
  | 'BREAKER_OPEN'
  | 'SHUTTING_DOWN'
  | 'SPAWN_FAILED'
  | 'CORRUPT_FILE'
  | 'UNSUPPORTED_VERSION'
  | 'SCOPE_UNAVAILABLE'
  | 'UNSUPPORTED';

export type SluiceErrorCode = `ERR_SLUICE_${ErrorKind}`;

/**
 * A mistake of the caller, or a fault; a refusal is no error. The message names what was given and what is
 * accepted. After an error the state is as it was before the call.
 */
export class SluiceError extends Error {
  private constructor();
  readonly name: 'SluiceError';
  readonly code: SluiceErrorCode;
  /** Where the docs explain `code`: a path in the package, such as `sluice/docs/errors.md#err_sluice_timeout`. */
  readonly help: string;
}

/** So many units per so much time. */
export interface QuotaOptions {
  /** Units per window, an integer from 1. Its share of the window must be exact to 0.1 % in nanoseconds. */
  limit: number;
  /** Over how long `limit` holds, more than 0. */
  window: Duration;
  /**
   * Units that may come at once, an integer from 1. In any time t at most `burst + t · limit / window` units
   * pass, so that the first window of an idle client sees up to `burst + limit`.
   * @default limit
   */
  burst?: number;
}

/** Every process of this machine that names the same directory shares the state, through a file in memory. Linux only. */
export interface MachineScope {
  /**
   * The directory of the files: one in memory (tmpfs) that belongs to this user and that no other may write. It is made
   * where it is missing. `true` is `/dev/shm/sluice-<uid>`.
   */
  shared: string | true;
  /**
   * What a process does whose options differ from those of processes that are attached: `CONFIG_MISMATCH`, or its options
   * come into force in all of them (`'reconfigure'`, for rolling deploys). An option that is fixed at creation remains
   * `CONFIG_MISMATCH`. Where no process is attached, the file is replaced.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** The file of an instance that processes share. */
export interface MachineStats {
  /** Its path. */
  file: string;
  /** The processes that are attached: their ids, as each knows its own, and since when, in UTC milliseconds. */
  attached: { pid: number; since: number }[];
  /**
   * What is wrong with the file, null where nothing is: it was removed or replaced, so that processes which start later
   * share another one.
   */
  trouble: string | null;
}

/** What `destroy` takes, of an instance that processes may share. */
export interface DestroyOptions {
  /** Ends the instance in all processes that share it: their calls throw `CLOSED`. @default false */
  everywhere?: boolean;
}

// biome-ignore lint/complexity/noUselessEmptyExport: without it, declarations that are not marked are exported too
export {};
