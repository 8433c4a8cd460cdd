import type { clientKey } from '../client-key';
import type { Duration, OnMismatch } from '../runtime';

/** What {@link Reputation} takes. */
export interface ReputationOptions {
  /** The failure within `findTime` that bans, an integer from 1 to 1 000 000. */
  maxFailures: number;
  /** For how long a failure counts. */
  findTime: Duration;
  /** How long a first ban lasts. */
  banTime: Duration;
  /**
   * By how much each further ban is longer, from 1.
   * @default 2
   */
  banFactor?: number;
  /** The longest a ban gets, `banTime` or more. */
  maxBanTime: Duration;
  /**
   * The share of its length by which chance may shorten a ban, from 0 to 1, so that those banned together do not come
   * back together.
   * @default 0
   */
  jitter?: number;
  /**
   * Leading bits of an IPv6 address that stand for one client, 1 to 128.
   * @default 64
   */
  ipv6Prefix?: number;
  /** Addresses and ranges that are never banned. */
  allow?: readonly string[];
  /** Addresses and ranges that are always banned. None may be in `allow` as well; the longest prefix decides. */
  deny?: readonly string[];
  /**
   * Most clients remembered at once, an integer from 1 to 2³². Who is banned is never forgotten for a stranger.
   * @default 100_000
   */
  maxClients?: number;
  /**
   * What happens when these options differ from those in force. Fixed at creation: `ipv6Prefix` and `maxClients`.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** What is known of an address. Times are milliseconds, rounded up to integers. */
export interface Verdict {
  /** Whether it is to be refused. */
  banned: boolean;
  /** When the ban ends, UTC in milliseconds; `Infinity` for one without end, null for who is not banned. */
  until: number | null;
  /** Until the ban ends; 0 for who is not banned. */
  retryAfterMs: number;
  /** Failures that count now; while an automatic ban stands, those that led to it. */
  failures: number;
  /** Automatic bans that are not forgotten. */
  bans: number;
  /** Why the ban that stands was made; null where that was not said, and for who is not banned by a ban. */
  reason: string | null;
  /** What decides: the list that names the longest prefix, or else a ban, or nothing. */
  rule: 'none' | 'ban' | 'deny' | 'allow';
}

/** A ban that stands. */
export interface Ban {
  /** The client's address, or the range, as {@link Reputation.unban} takes it. */
  client: string;
  /** When it ends, UTC in milliseconds; `Infinity` for never. */
  until: number;
  retryAfterMs: number;
  reason: string | null;
}

/** Sums over all threads since creation, and the state now. */
export interface ReputationStats {
  /** Failures counted, by weight. */
  failures: number;
  /** Automatic bans. */
  bans: number;
  /** Bans by `ban`. */
  manualBans: number;
  /** Bans ended by `unban`. */
  unbans: number;
  /** Failures and bans that were not kept, as all `maxClients` clients are banned. */
  untracked: number;
  /** Clients forgotten for a newcomer while their failures or past bans still counted. */
  evicted: number;
  /** Clients banned now. */
  banned: number;
  /** Ranges banned now. */
  ranges: number;
  /** Ranges in `allow`. */
  allow: number;
  /** Ranges in `deny`. */
  deny: number;
  /** Clients remembered now. */
  size: number;
  /** `maxClients`. */
  capacity: number;
}

/**
 * Failures that ban, bans that grow, and lists of addresses, for all threads: who is banned in one is refused in all.
 *
 * A client is an address as {@link clientKey} cuts it; lists and bans of ranges look at the whole address. Every
 * method that takes an address throws `INVALID_ADDRESS` for what is none, and every method `CLOSED` after
 * `Reputation.destroy`.
 */
export class Reputation {
  /**
   * Creates the reputation of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `INVALID_ADDRESS`, `CONFIG_MISMATCH`, `NOT_FOUND`.
   */
  constructor(name: string, options?: ReputationOptions);

  /** Ends the reputation in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /** Whether to refuse the address. The cheapest question; it takes no lock. */
  isBanned(ip: string): boolean;

  /** As `isBanned`, with all there is to tell. */
  check(ip: string): Verdict;

  /**
   * Counts `weight` failures (default 1) against the client. The one that makes `maxFailures` within `findTime` bans,
   * once, whichever threads they come from. Who is allowed, denied or banned is not counted against.
   *
   * @throws {SluiceError} `INVALID_OPTION` for a weight that is no positive integer, or a reason above 256 characters.
   */
  recordFailure(ip: string, options?: { weight?: number; reason?: string }): Verdict;

  /** Forgets the failures that count now; never a ban, nor the number of bans. */
  recordSuccess(ip: string): void;

  /**
   * Bans a client or a range for so long; of two bans the one that ends later holds. It is no step of the escalation.
   * False, and counted in `stats().untracked`, when there is no place for the client, as all others are banned.
   *
   * @throws {SluiceError} `INVALID_OPTION` for the duration or the reason.
   */
  ban(ipOrCidr: string, options: { duration: Duration | typeof Infinity; reason?: string }): boolean;

  /** Ends the ban of this client, or of exactly this range; false when there is none. Past bans stay remembered. */
  unban(ipOrCidr: string): boolean;

  /** The bans that stand, the first to end first. Costs one pass over all clients. */
  bans(): Ban[];

  /**
   * Replaces both lists for all threads in one moment; what is left out is empty. The options of the creation still
   * attach.
   *
   * @throws {SluiceError} `INVALID_ADDRESS`, `INVALID_OPTION`, and nothing is changed.
   */
  setLists(lists: { allow?: readonly string[]; deny?: readonly string[] }): void;

  /**
   * Writes everything but the lists to a file, whole or not at all, at whatever moment the process is killed. Blocks
   * until the disk has it. Fails as `node:fs` does.
   */
  save(path: string | URL): void;

  /**
   * Adds what a file holds: bans until the later of two ends, the longer memory of past bans, the more failures. To
   * load it twice changes nothing. Fails as `node:fs` does where it cannot be read.
   *
   * @throws {SluiceError} `CORRUPT_FILE`, `UNSUPPORTED_VERSION`, and nothing is changed.
   */
  load(path: string | URL): void;

  /** Costs one pass over all clients. */
  stats(): ReputationStats;
}
