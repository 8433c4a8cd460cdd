import type { clientKey } from '../client-key';
import type { Duration, OnMismatch } from '../runtime';

/** When {@link SecurityMonitor} raises an alert: `count` events of one client within `window`. */
export interface SecurityRule {
  /**
   * What alerts call it, at most 128 characters; no two rules of one monitor have the same.
   * @default what it says, such as `'login-failed-5-per-1m'`, or `'probe-distinct-5-per-1m'`
   */
  name?: string;
  /** The event that is counted, at most 128 characters. */
  event: string;
  /** How many of them, an integer from 1 to 10 000; with `distinct` to 1000. */
  count: number;
  /** Within how long, more than 0. An event leaves the window when it is as old as the window is long. */
  window: Duration;
  /**
   * Counts different details (passwords tried, paths scanned) rather than events: a detail counts once, from when it
   * was last seen. Events without a detail do not count then.
   * @default false
   */
  distinct?: boolean;
  /**
   * For how long the rule is silent for a client after an alert. Events still count meanwhile; with 0 each further event
   * that finds `count` in the window is an alert.
   * @default window
   */
  mute?: Duration;
  /** `'ban'` also bans the client, in the monitor's `reputation`. Listeners are told of both. */
  action: 'alert' | 'ban';
}

/** What {@link SecurityMonitor} takes. */
export interface SecurityMonitorOptions {
  /**
   * Newest events remembered, of all clients, an integer from 1 to 1 000 000.
   * @default 10_000
   */
  history?: number;
  /** At most 64; may be empty. */
  rules: readonly SecurityRule[];
  /** Name of the reputation in which rules ban; needed where one does. */
  reputation?: string;
  /**
   * Clients known at once, an integer from 1 to 10 000 000. Beyond, a newcomer takes the place of one that is far from
   * an alert.
   * @default 100_000
   */
  maxClients?: number;
  /**
   * What happens when these options differ from those in force. Fixed at creation: `history` and `maxClients`.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/** An event, as it is told. */
interface SecurityEventDetails {
  event: string;
  /** Who caused it, as {@link clientKey} names it. */
  client: string;
  /** What came with it: at most 256 bytes of UTF-8, cut before a character that does not fit. */
  detail: string | undefined;
  /** Only where the detail was longer. */
  detailCut?: true;
  /** When it was recorded, UTC in milliseconds. */
  at: number;
}

/** A client met a rule; the event is the one that met it. */
export interface SecurityAlert extends SecurityEventDetails {
  /** The rule's name. */
  rule: string;
  /** How many events, or different details, were found in the window: the rule's `count`, as no more are kept. */
  count: number;
  /** Alerts just before this one that were dropped, as more than 1024 waited. */
  missed?: number;
}

/** An event that is remembered. */
export interface SecurityEvent extends SecurityEventDetails {
  /** Its number: events are numbered from 0 as they are recorded, over all threads. */
  sequence: number;
}

/** Events that are remembered, the newest first. */
export interface SecurityHistory extends Array<SecurityEvent> {
  /** Events of the monitor that are remembered no longer, of whatever kind and client. */
  readonly forgotten: number;
}

/** Counts over all threads since creation; `clients` and `historySize` of now. */
export interface SecurityMonitorStats {
  /** Events recorded. */
  recorded: number;
  /** Alerts raised, those that ban among them. */
  alerts: number;
  /** Events that met a rule while it was silent for their client; once per rule. */
  muted: number;
  /** Bans asked for. */
  bans: number;
  /** Of them, those that nobody carried out: no reputation of this name, or its lists spare the client. */
  bansFailed: number;
  /** Clients known now. */
  clients: number;
  /** Clients forgotten for newcomers. */
  evictions: number;
  /** Events remembered. */
  historySize: number;
  /** Events remembered no longer. */
  historyForgotten: number;
}

/**
 * Events of all threads, counted per client, judged by rules in sliding windows and remembered for a while.
 *
 * A rule is met by exactly one event: the `count`-th of a client within its window, whichever threads recorded them.
 * Clients are addresses, counted as {@link clientKey} names them. Every method throws `CLOSED` after
 * `SecurityMonitor.destroy`; those that take an address throw `INVALID_ADDRESS`.
 */
export class SecurityMonitor {
  /**
   * Creates the monitor of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`.
   */
  constructor(name: string, options?: SecurityMonitorOptions);

  /** Ends the monitor in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Records an event of a client, of a rule or not. One monitor takes 1024 different events: what differs by request
   * belongs in the detail, of which the first 256 bytes of UTF-8 are kept and compared.
   *
   * @throws {SluiceError} `INVALID_VALUE` for the event or the detail.
   */
  record(event: string, ip: string, detail?: string): void;

  /** What is remembered, of this client and this event where they are given. One pass over the history. */
  history(options?: { ip?: string; event?: string; limit?: number }): SecurityHistory;

  /** How often each event was recorded. */
  counts(): Record<string, number>;

  /** How often each event was recorded of this client since it is known: since its first, or since it was forgotten. */
  countsFor(ip: string): Record<string, number>;

  /**
   * The clients with the most events since they are known, at most `limit` (default 10). Of equals the lower address
   * comes first. One pass over all clients.
   */
  top(options?: { limit?: number }): { client: string; count: number }[];

  stats(): SecurityMonitorStats;

  /** Calls the listener for each alert of any thread from now on, in one order for all. It keeps no thread alive. */
  on(event: 'alert', listener: (alert: SecurityAlert) => void): this;
  once(event: 'alert', listener: (alert: SecurityAlert) => void): this;
  off(event: 'alert', listener: (alert: SecurityAlert) => void): this;
}

// biome-ignore lint/complexity/noUselessEmptyExport: without it, declarations that are not marked are exported too
export {};
