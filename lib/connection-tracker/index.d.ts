import type { Server, Socket } from 'node:net';
import type { clientKey } from '../client-key';
import type { RefusedBodyOptions } from '../guard';
import type { FleetScope, FleetStats } from '../rate-limiter';
import type { RegistryValue } from '../registry';
import type {
  DestroyOptions,
  Duration,
  MachineScope,
  MachineStats,
  OnMismatch,
  QuotaOptions,
} from '../runtime';

/** Options of {@link ConnectionTracker}. What is left out is not limited. */
export interface ConnectionTrackerOptions {
  /** Most connections at once, over all threads. */
  max?: number;
  /** Most connections of one client at once, over all threads. */
  maxPerClient?: number;
  /**
   * What clients are: addresses, counted as {@link clientKey} names them, or any text.
   * @default 'ip'
   */
  clients?: 'ip' | 'opaque';
  /**
   * Leading bits of an IPv6 address that stand for one client, 1 to 128. Not with `clients: 'opaque'`.
   * @default 64
   */
  ipv6Prefix?: number;
  /** How often one client may open. */
  opens?: QuotaOptions;
  /** How many messages one connection may send. */
  messages?: QuotaOptions;
  /** How many bytes one connection may send, in messages. */
  bytes?: QuotaOptions;
  /** Connections idle for so long are closed. Sockets are active by their bytes, sessions by `touch`. */
  idleTimeout?: Duration;
  /**
   * What counts together: all threads of this process, of every process of this machine that names one directory, or with
   * `{ redis }` of every process that names the server, the prefix and the tracker alike. Ids, details and lists are of their
   * process. With the scope of the machine `max` is at most 1 000 000, and without it there are places for about 100 000
   * clients. With a scope of the fleet a connection waits for the server: `tryOpenAsync` in place of `tryOpen`; `opens`,
   * `count` and `countFor` are of this process, and `mode` changes nothing. Fixed at creation.
   *
   * @default 'process'
   */
  scope?: 'process' | MachineScope | FleetScope;
  /**
   * What happens when these options differ from those in force. `clients`, `ipv6Prefix` and `scope` are fixed at creation.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

/**
 * Counts over all threads since creation; `count` and `perThread` are current. Where processes share the tracker, over all of
 * them since the file was made, except `perThread`, which is of this process.
 */
export interface ConnectionTrackerStats {
  count: number;
  opened: number;
  closed: number;
  /** By the option that refused; `banned` counts sockets that a guard refused at accept. */
  refused: { max: number; maxPerClient: number; opens: number; banned: number };
  messages: { allowed: number; refused: number };
  bytes: { allowed: number; refused: number };
  /** TCP sockets closed at accept because their clients had reset them before their addresses were known. */
  withoutAddress: number;
  /** Open connections by the `threadId` of the thread that holds them. */
  perThread: Record<string, number>;
  /** With the scope of the machine only: processes that share the tracker now. */
  processes?: number;
  /** With the scope of the machine only: processes that were found to have ended, since the file was made. */
  deaths?: number;
  /** With the scope of the machine only: the file, and which processes are attached. */
  machine?: MachineStats;
  /** With a scope of the fleet only. The counts above are of this process. */
  fleet?: FleetConnectionsStats;
}

/** What a tracker of the fleet has asked and told the server. */
export interface FleetConnectionsStats {
  /** `'connecting'`: connections wait; `'away'`: `onError` decides at once. */
  state: 'connecting' | 'ready' | 'away';
  /** The server, without credentials. */
  server: string;
  /** Its name and version, once it was connected. */
  version: string | null;
  /** What it does when its memory is full; under another policy than `'noeviction'`, counts may be lost. */
  evictionPolicy: string | null;
  /** What went wrong last. */
  lastError: string | null;
  /** Script calls sent; one is about up to 256 clients. */
  commands: number;
  /** Connections to the server made. */
  connections: number;
  /** Calls that wait for it now. */
  pending: number;
  /** Connections that the server has admitted or refused. */
  decisions: number;
  /** Connections that `onError` has decided. */
  local: number;
  /** Connections of this process that the server counts, or is about to. */
  held: number;
  /** Connections of all processes, as of the last call. */
  count: number;
  /** Connections that the server did not decide, by the reason. */
  failures: FleetStats['failures'];
  /** `failures.timeout`. */
  timeouts: number;
  /** `failures.refused` and `failures.foreign`. */
  errors: number;
  /** A recent round trip of a script call. */
  latencyMs: number | null;
}

/** Why a socket was refused at accept. */
export interface ConnectionRefusal {
  /** The option; `'unavailable'` where the server of a fleet did not answer and `onError` is `'deny'`. */
  reason: 'max' | 'maxPerClient' | 'opens' | 'unavailable';
  /** The remote address; `undefined` for a socket that has none. */
  client: string | undefined;
  /** Milliseconds until the client may open again; 0 where that depends on other connections closing. */
  retryAfterMs: number;
}

export interface AttachOptions {
  /**
   * Answers a refused socket in the server's protocol, by ending or destroying it. Without it, or if it throws,
   * plain HTTP clients get a 503 and all other sockets are closed without an answer.
   */
  onRefused?: (socket: Socket, refusal: ConnectionRefusal) => void;
  /** Addresses, ranges and names (`'loopback'`, `'linklocal'`, `'uniquelocal'`) of proxies: their sockets count towards `max` only. */
  trustedProxies?: readonly string[];
  /** What is read of a refused request, so that its client can read the answer; `false` closes right after the answer. */
  refusedBody?: RefusedBodyOptions | false;
}

/**
 * Connections counted over all threads: never more than `max`, nor than `maxPerClient` of one client.
 *
 * A connection is a session, with or without a socket. All connections of a thread are closed when it ends, however it
 * ends. Every method throws `CLOSED` after `ConnectionTracker.destroy`; those that take a client throw
 * `INVALID_KEY`, and `INVALID_ADDRESS` where clients are addresses.
 */
export class ConnectionTracker {
  /**
   * Creates the tracker of this name, or attaches to it. With options that differ from those in force,
   * `onMismatch` decides; without options it attaches only.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`, `NOT_FOUND`; where processes share it also
   * `SCOPE_UNAVAILABLE`, `CORRUPT_FILE`, `UNSUPPORTED_VERSION`, `UNSUPPORTED`.
   */
  constructor(name: string, options?: ConnectionTrackerOptions);

  /**
   * Destroys the tracker in all threads of this process; false when there was none. Its name is free again. Where processes
   * share it, the others go on without what this one held, and the last one to end it removes its file; with `everywhere` it
   * ends in all of them.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`.
   */
  static destroy(name: string, options?: DestroyOptions): boolean;

  readonly name: string;

  /**
   * Opens a connection of the client, or returns null when a limit refuses it. It counts until it is closed.
   * `onClose` is then called once in this thread, asynchronously, whichever thread closed it: the place to end what the
   * connection stands for. It does not keep the thread alive.
   *
   * @throws {SluiceError} `DUPLICATE_ID` when a connection of this id is open, `INVALID_VALUE` for the detail,
   * `UNSUPPORTED` with a scope of the fleet.
   */
  tryOpen(
    client: string,
    options?: { id?: string; detail?: RegistryValue; onClose?: () => void },
  ): Connection | null;

  /**
   * As `tryOpen`, in any scope: invalid arguments reject. With a scope of the fleet the server decides, or `onError` after
   * `timeout`.
   */
  tryOpenAsync(
    client: string,
    options?: { id?: string; detail?: RegistryValue; onClose?: () => void },
  ): Promise<Connection | null>;

  /**
   * With a scope of the fleet: resolves once the server answers. Else at once.
   *
   * @throws {SluiceError} `SCOPE_UNAVAILABLE` after `timeout` (default `'5s'`), with what went wrong last; `CLOSED`.
   */
  ready(options?: { timeout?: Duration }): Promise<void>;

  /**
   * From now on each socket of the server is a connection, or is refused before its server sees a byte of it. For servers
   * of net, tls, http, https and http2. Idempotent. With a scope of the fleet a socket is held until the server of the fleet
   * has answered, at most for `timeout`; then `onError` decides.
   */
  attach(server: Server, options?: AttachOptions): this;

  /** Open connections over all threads, and over all processes of the machine that share the tracker. */
  readonly count: number;

  /** Open connections of one client over all threads, and over all processes of the machine that share the tracker. */
  countFor(client: string): number;

  /** The open connection of this id, in whatever thread of this process it was opened. */
  get(id: string): Connection | undefined;

  /** Closes the connection of this id, and its socket; false when there is none. */
  close(id: string): boolean;

  /** Open connections of this process, oldest first, at most `limit` (default 1000). Costs one pass over all of them. */
  list(options?: { limit?: number; client?: string }): Connection[];

  /**
   * Closes the connections of all threads on which nothing was transferred for so long (default `idleTimeout`, or
   * any time). Each socket is closed by its own thread, which checks again first. Returns how many were asked to close.
   */
  closeIdle(olderThan?: Duration): number;

  /**
   * Resolves with true once no connection of any thread of this process is left, with false when some are after `timeout`
   * (default `'10s'`). Closes none.
   */
  drain(options?: { timeout?: Duration }): Promise<boolean>;

  /** Costs one pass over all connections. */
  stats(): ConnectionTrackerStats;
}

/** An open connection, as one thread sees it. Only a {@link ConnectionTracker} makes it. */
export interface Connection {
  /** The id it was opened with, or one that the tracker made. */
  readonly id: string;
  /** The client, as the tracker counts it; null for a socket without an address. */
  readonly client: string | null;
  /** When it was opened, UTC in milliseconds. */
  readonly openedAt: number;
  /** The detail it was opened with. */
  readonly detail: RegistryValue;
  /** The name of its tracker. */
  readonly tracker: string;

  /** Records that the connection is in use, so it is not idle. */
  touch(): void;

  /**
   * Charges one message of so many bytes (default 0) to the quotas of this connection, and touches it. False, with
   * nothing charged, when one of them refuses or the connection is closed.
   */
  tryMessage(bytes?: number): boolean;

  /** Closes the connection, and its socket in the socket's thread; false when it was closed already. */
  close(): boolean;

  [Symbol.dispose](): void;
}
