import type { clientKey } from '../client-key';
import type { Duration, OnMismatch } from '../runtime';

/** When {@link SecurityMonitor} raises an alert: `count` events of one client within `window`. */
export interface SecurityRule {
  /**
   * Its name in alerts, at most 128 characters, unique in the monitor.
   * @default a description such as `'login-failed-5-per-1m'`, or `'probe-distinct-5-per-1m'`
   */
  name?: string;
  /** The event that it counts, at most 128 characters. */
  event: string;
  /** How many events raise an alert, an integer from 1 to 10 000; with `distinct` to 1000. */
  count: number;
  /** The length of the window, more than 0. An event leaves the window when it is that old. */
  window: Duration;
  /**
   * Whether it counts different details (passwords tried, paths scanned) rather than events. A detail counts once, from
   * when it was last seen; events without a detail do not count.
   * @default false
   */
  distinct?: boolean;
  /**
   * How long the rule is muted for a client after an alert. Events still count meanwhile. With 0 each further event is an
   * alert as long as `count` events are in the window.
   * @default window
   */
  mute?: Duration;
  /** `'ban'` raises an alert as well, and bans the client in the monitor's `reputation`. */
  action: 'alert' | 'ban';
}

/** What {@link SecurityMonitor} takes. */
export interface SecurityMonitorOptions {
  /**
   * How many of the newest events are kept, of all clients, an integer from 1 to 1 000 000.
   * @default 10_000
   */
  history?: number;
  /** At most 64; may be empty. */
  rules: readonly SecurityRule[];
  /** The name of the reputation in which rules ban; required where one does. */
  reputation?: string;
  /**
   * Most clients tracked at once, an integer from 1 to 10 000 000. Beyond that, a new client replaces one that is far from
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

/** A recorded event. */
interface SecurityEventDetails {
  event: string;
  /** Its client, as {@link clientKey} returns it. */
  client: string;
  /** Its detail: at most 256 bytes of UTF-8, cut before a character that does not fit. */
  detail: string | undefined;
  /** Present only where the detail was longer. */
  detailCut?: true;
  /** When it was recorded, in UTC milliseconds. */
  at: number;
}

/** A client met a rule; the event is the one that reached the count. */
export interface SecurityAlert extends SecurityEventDetails {
  /** The rule's name. */
  rule: string;
  /** How many events, or different details, were in the window: the rule's `count`, as no more are kept. */
  count: number;
  /** How many alerts just before this one were dropped, as more than 1024 were pending. */
  missed?: number;
}

/** An event in the history. */
export interface SecurityEvent extends SecurityEventDetails {
  /** Its number: events are numbered from 0 as they are recorded, over all threads. */
  sequence: number;
}

/** Events in the history, the newest first. */
export interface SecurityHistory extends Array<SecurityEvent> {
  /** How many events of the monitor are no longer in the history, of any kind and client. */
  readonly forgotten: number;
}

/** Counts over all threads since creation; `clients` and `historySize` are current. */
export interface SecurityMonitorStats {
  /** Events recorded. */
  recorded: number;
  /** Alerts raised, those that ban among them. */
  alerts: number;
  /** Events that met a rule while it was muted for their client; once per rule. */
  muted: number;
  /** Bans requested by rules. */
  bans: number;
  /** Of them, those that were not carried out: the reputation does not exist, or allows the client. */
  bansFailed: number;
  /** Clients tracked now. */
  clients: number;
  /** Clients evicted for new ones. */
  evictions: number;
  /** Events in the history. */
  historySize: number;
  /** Events no longer in the history. */
  historyForgotten: number;
}

/**
 * Security events of all threads, counted per client, judged by rules in sliding windows and kept in a history.
 *
 * A rule is met by exactly one event: the `count`-th of a client within its window, whichever threads recorded them.
 * Clients are addresses as {@link clientKey} cuts them. Every method throws `CLOSED` after
 * `SecurityMonitor.destroy`; those that take an address throw `INVALID_ADDRESS`.
 */
export class SecurityMonitor {
  /**
   * Creates the monitor of this name, or attaches to it. `onMismatch` decides what happens with options that differ from
   * those in force. Without options it only attaches.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`.
   */
  constructor(name: string, options?: SecurityMonitorOptions);

  /** Destroys the monitor in all threads and frees its name; false when there is none. */
  static destroy(name: string): boolean;

  readonly name: string;

  /**
   * Records an event of a client, whether or not a rule counts it. A monitor takes 1024 different events: what differs by
   * request belongs in the detail, of which the first 256 bytes of UTF-8 are kept and compared.
   *
   * @throws {SluiceError} `INVALID_VALUE` for the event or the detail.
   */
  record(event: string, ip: string, detail?: string): void;

  /** Events in the history, of this client and this event where they are given. One pass over the history. */
  history(options?: { ip?: string; event?: string; limit?: number }): SecurityHistory;

  /** How often each event was recorded. */
  counts(): Record<string, number>;

  /** How often each event was recorded of this client since it is tracked: since its first event, or its last eviction. */
  countsFor(ip: string): Record<string, number>;

  /**
   * The clients with the most events since they are tracked, at most `limit` (default 10). Of equals the lower address
   * comes first. One pass over all clients.
   */
  top(options?: { limit?: number }): { client: string; count: number }[];

  stats(): SecurityMonitorStats;

  /** Calls the listener for each alert of any thread from now on, in the same order in all threads. Keeps no thread alive. */
  on(event: 'alert', listener: (alert: SecurityAlert) => void): this;
  once(event: 'alert', listener: (alert: SecurityAlert) => void): this;
  off(event: 'alert', listener: (alert: SecurityAlert) => void): this;
}

// biome-ignore lint/complexity/noUselessEmptyExport: without it, declarations that are not marked are exported too
export {};
