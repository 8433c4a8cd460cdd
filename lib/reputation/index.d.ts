import type { clientKey } from '../client-key';
import type { FleetScope } from '../rate-limiter';
import type { DestroyOptions, Duration, MachineScope, MachineStats, OnMismatch } from '../runtime';

/** What {@link Reputation} takes. */
export interface ReputationOptions {
  /** How many failures within `findTime` ban a client, an integer from 1 to 1 000 000. */
  maxFailures: number;
  /** How long a failure counts. */
  findTime: Duration;
  /** The length of a first ban. */
  banTime: Duration;
  /**
   * The factor by which each further ban is longer, from 1.
   * @default 2
   */
  banFactor?: number;
  /** The longest ban, at least `banTime`. */
  maxBanTime: Duration;
  /**
   * The share of a ban by which it may be shorter, at random, from 0 to 1: clients that were banned together then do not
   * return together.
   * @default 0
   */
  jitter?: number;
  /**
   * Leading bits of an IPv6 address that stand for one client, 1 to 128.
   * @default 64
   */
  ipv6Prefix?: number;
  /** Addresses and ranges that are never banned automatically. */
  allow?: readonly string[];
  /** Addresses and ranges that are always banned. None may be in both lists; the longest prefix decides. */
  deny?: readonly string[];
  /**
   * Most clients tracked at once, an integer from 1 to 2³². A banned client is never evicted. With `scope: { shared }` the
   * default is 20 000, as all memory is reserved at creation.
   * @default 100_000
   */
  maxClients?: number;
  /**
   * The file that keeps failures, bans and past bans from one start of the process to the next. Left out, nothing is
   * written.
   */
  persist?: PersistOptions;
  /**
   * What shares it: the threads of this process, with `{ shared }` all processes of this machine, or with `{ redis }` all
   * processes that name the server, the prefix and the reputation alike. With `{ redis }` bans are shared, and verdicts stay
   * local, so `mode`, `onError` and `timeout` change nothing. Fixed at creation.
   *
   * @default 'process'
   */
  scope?: 'process' | MachineScope | FleetScope;
  /**
   * What happens when these options differ from those in force. Fixed at creation: `ipv6Prefix`, `maxClients` and
   * `scope`.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** The file that keeps a {@link Reputation}. */
export interface PersistOptions {
  /** Its path, in a folder that exists; or a file URL. One process writes it. */
  path: string | URL;
  /**
   * The time between two writes. A file that would stay the same is not written.
   * @default '30s'
   */
  every?: Duration;
}

/**
 * What put a ban in force: the client's failures, a rule of a monitor, a call of `ban`, a file that was loaded, or another
 * process of the fleet.
 */
export type BanCause = 'failures' | 'rule' | 'manual' | 'file' | 'fleet';

/** A ban that began, was lifted, or ended. */
export interface BanChange {
  /** The client's address, or the range, as {@link Reputation.unban} takes it. */
  client: string;
  /** When the ban ends, would have ended, or has ended, in UTC milliseconds; `Infinity` for a permanent ban. */
  until: number;
  /** The reason that was given; of a rule's ban, the name of the rule. */
  reason: string | null;
  /** What put the ban in force. */
  by: BanCause;
  /** How many events before this one were dropped because this thread did not keep up. */
  missed?: number;
}

/** A ban that is in force. */
export interface BanBegun extends BanChange {
  /** Whether it replaces a ban that would have ended earlier, which then neither expires nor is lifted. */
  extended: boolean;
}

/** The events of a {@link Reputation}. */
export interface ReputationEvents {
  /** A ban is in force, or has a later end. */
  ban: (ban: BanBegun) => void;
  /** `unban` has ended a ban. */
  unban: (ban: BanChange) => void;
  /** The time of a ban has passed. */
  expire: (ban: BanChange) => void;
}

/** The verdict on an address. Times are milliseconds, rounded up to integers. */
export interface Verdict {
  /** Whether to refuse the address. */
  banned: boolean;
  /** When the ban ends, in UTC milliseconds; `Infinity` for a permanent one, null without a ban. */
  until: number | null;
  /** The time until the ban ends; 0 without a ban. */
  retryAfterMs: number;
  /** Failures that count now; during an automatic ban, those that led to it. */
  failures: number;
  /** Automatic bans that are not forgotten. */
  bans: number;
  /** The reason of the ban in force; null without a reason, and where no ban decides. */
  reason: string | null;
  /** What decides: the list with the longest prefix, else a ban, else nothing. */
  rule: 'none' | 'ban' | 'deny' | 'allow';
}

/** A ban in force. */
export interface Ban {
  /** The client's address, or the range, as {@link Reputation.unban} takes it. */
  client: string;
  /** When it ends, in UTC milliseconds; `Infinity` for a permanent ban. */
  until: number;
  retryAfterMs: number;
  reason: string | null;
}

/** What the sharing of bans has done in this process. */
export interface FleetBansStats {
  /** `'ready'`: every ban of the others is known here. `'away'`: bans are made and lifted here, and sent later. */
  state: 'connecting' | 'ready' | 'away';
  /** The server, without credentials. */
  server: string;
  /** Its name and version, once it was connected. */
  version: string | null;
  /** What went wrong last. */
  lastError: string | null;
  /** Connections made. */
  connections: number;
  /** Bans that the server is known to have. */
  bans: number;
  /** Changes of this process that the server got. */
  sent: number;
  /** Changes of other processes that were followed. */
  received: number;
  /** Changes of this process that the server does not have yet. */
  pending: number;
  /** Changes and failures that were not sent, as too many were pending. */
  dropped: number;
}

/** Sums over all threads since creation, and the current state. */
export interface ReputationStats {
  /** Failures counted, by weight. */
  failures: number;
  /** Automatic bans. */
  bans: number;
  /** Bans by `ban`. */
  manualBans: number;
  /** Bans ended by `unban`. */
  unbans: number;
  /** Failures and bans that were not stored, as all `maxClients` clients were banned. */
  untracked: number;
  /** Clients evicted while their failures or past bans still counted. */
  evicted: number;
  /** Clients banned now. */
  banned: number;
  /** Ranges banned now. */
  ranges: number;
  /** Ranges in `allow`. */
  allow: number;
  /** Ranges in `deny`. */
  deny: number;
  /** Clients tracked now. */
  size: number;
  /** `maxClients`. */
  capacity: number;
  /** With `scope: { shared }`: the processes that are attached. The counts above are those of all of them. */
  processes?: number;
  /** With `scope: { shared }`: the processes that were found to have ended since the file was made. */
  deaths?: number;
  /** With `scope: { shared }`: the file. */
  machine?: MachineStats;
  /** With a scope of the fleet only. */
  fleet?: FleetBansStats;
}

/**
 * Failures that ban clients, bans that grow, and lists of addresses, for all threads: a client that one thread bans is
 * refused by all.
 *
 * A client is an address as {@link clientKey} cuts it; lists and banned ranges are matched against the whole address.
 * Every method that takes an address throws `INVALID_ADDRESS` for any other value, and every method throws `CLOSED` after
 * `Reputation.destroy`.
 */
export class Reputation {
  /**
   * Creates the reputation of this name, or attaches to it. `onMismatch` decides what happens with options that differ from
   * those in force. Without options it only attaches.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `INVALID_ADDRESS`, `CONFIG_MISMATCH`, `NOT_FOUND`; with
   * `scope: { shared }` also `SCOPE_UNAVAILABLE`, `CORRUPT_FILE`, `UNSUPPORTED_VERSION`, `UNSUPPORTED`.
   */
  constructor(name: string, options?: ReputationOptions);

  /**
   * Destroys the reputation in all threads and frees its name; false when there is none. One that processes share is ended
   * in this process, and its files are removed where no other is attached; with `everywhere` in all of them.
   */
  static destroy(name: string, options?: DestroyOptions): boolean;

  readonly name: string;

  /** Whether to refuse the address. The cheapest call; it takes no lock. */
  isBanned(ip: string): boolean;

  /** As `isBanned`, with the reasons. */
  check(ip: string): Verdict;

  /**
   * Counts `weight` failures (default 1) of the client. The failure that reaches `maxFailures` within `findTime` bans it
   * once, whichever threads they come from. Counts nothing while a list or a ban decides about the client.
   *
   * @throws {SluiceError} `INVALID_OPTION` for a weight that is no positive integer, or a reason longer than 256 characters.
   */
  recordFailure(ip: string, options?: { weight?: number; reason?: string }): Verdict;

  /** Forgets the client's failures, but no ban and no number of bans. */
  recordSuccess(ip: string): void;

  /**
   * Bans a client or a range; of two bans the one that ends later holds. Does not lengthen later bans. False, and counted
   * in `stats().untracked`, when the client is not stored because all `maxClients` clients are banned.
   *
   * @throws {SluiceError} `INVALID_OPTION` for the duration or the reason.
   */
  ban(ipOrCidr: string, options: { duration: Duration | typeof Infinity; reason?: string }): boolean;

  /** Ends the ban of this client, or of exactly this range; false when there is none. Past bans still count. */
  unban(ipOrCidr: string): boolean;

  /** The bans in force, the first to end first. Costs one pass over all clients. */
  bans(): Ban[];

  /**
   * Replaces both lists for all threads at once; a list that is left out is empty. The options of the creation still
   * attach.
   *
   * @throws {SluiceError} `INVALID_ADDRESS`, `INVALID_OPTION`, and nothing is changed.
   */
  setLists(lists: { allow?: readonly string[]; deny?: readonly string[] }): void;

  /**
   * Writes everything but the lists to a file, completely or not at all, even if the process is killed. Blocks until the
   * data is on the disk. Throws the errors of `node:fs`.
   *
   * @throws {SluiceError} `INVALID_OPTION` for the path.
   */
  save(path: string | URL): void;

  /**
   * Merges the content of a file: the later end of a ban, the more past bans, the more failures. Loading it twice changes
   * nothing. Throws the errors of `node:fs` where the file cannot be read.
   *
   * @throws {SluiceError} `INVALID_OPTION`, `CORRUPT_FILE`, `UNSUPPORTED_VERSION`, and nothing is changed.
   */
  load(path: string | URL): void;

  /** Costs one pass over all clients. */
  stats(): ReputationStats;

  /**
   * With a scope of the fleet: resolves once every ban of the other processes is known here. Else at once.
   *
   * @throws {SluiceError} rejects with `SCOPE_UNAVAILABLE` and the cause after `timeout`, `'5s'` by default.
   */
  ready(options?: { timeout?: Duration }): Promise<void>;

  /**
   * Calls `listener` for bans in any thread, also this one: asynchronously, in order, the same events in every thread that
   * listens. Where processes share the reputation, those of others come within 250 ms. At most 1024 are pending; beyond that the oldest is dropped and the next one has `missed`. Does not keep the
   * thread alive.
   *
   * A ban ends by `'unban'` or by `'expire'`, each once, unless a longer ban replaces it. `'expire'` comes at the end of the
   * ban or within milliseconds after it, once some thread that listens is free.
   *
   * @throws {SluiceError} `INVALID_OPTION`, `CLOSED`.
   */
  on<Event extends keyof ReputationEvents>(event: Event, listener: ReputationEvents[Event]): this;

  /** As `on`, for one event. */
  once<Event extends keyof ReputationEvents>(event: Event, listener: ReputationEvents[Event]): this;

  /** Removes a listener. */
  off<Event extends keyof ReputationEvents>(event: Event, listener: ReputationEvents[Event]): this;
}
