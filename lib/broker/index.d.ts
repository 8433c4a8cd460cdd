import type { RegistryValue } from '../registry';
import type { Duration, OnMismatch } from '../runtime';
import type { SpawnOptions, WorkerGroup } from './workers';

/**
 * A value that travels between threads: plain data, Buffers, typed arrays, `Date`, `Map` and `Set`. The receiver gets a
 * copy of the value as it was at the call. Functions, symbols, instances of classes, cycles, more than 256 levels of
 * nesting and 4 GiB of bytes or more are `INVALID_VALUE`.
 */
export type Payload = unknown;

/**
 * An error thrown in another thread: of the same built-in class, with its name, message, `code`, `cause`, `errors` and own
 * plain fields.
 */
export interface CarriedError extends Error {
  code?: unknown;
  errors?: unknown[];
  /** The stack in the thread that threw it; `stack` is that of this thread. Not enumerable. */
  readonly remoteStack: string;
}

export interface BrokerOptions<Metadata = RegistryValue> {
  /**
   * The id of this thread for other peers, unique within the broker.
   * @default `thread-<threadId>`
   */
  id?: string;
  /** Plain data that other peers can read. */
  metadata?: Metadata;
  /**
   * Most messages pending at a peer, and most requests that it works on; more are `BACKPRESSURE`. One number for all peers:
   * set by the thread that creates the broker, compared if other threads give it.
   * @default 10_000
   */
  inbox?: number;
  /**
   * What happens when `inbox` differs from the one in force. This thread's own `id` stays `CONFIG_MISMATCH` until it
   * closes.
   * @default 'error'
   */
  onMismatch?: OnMismatch;
}

export interface CallOptions {
  /**
   * How long the caller waits at least; up to 8 ms longer, or until its thread is no longer busy.
   * @default '30s'
   */
  timeout?: Duration;
  /** Rejects the call with its reason when it aborts. */
  signal?: AbortSignal;
  /** The id of the peer to call, instead of the least loaded one that serves the endpoint. */
  to?: string;
}

/** What a handler gets beside the payload. */
export interface BrokerRequest {
  /** The id of the caller. */
  readonly from: string;
  /** The request's number, unique within the broker and rising over all threads. */
  readonly id: number;
  /** Aborts when the answer is no longer awaited. Created on first use. */
  readonly signal: AbortSignal;
  /** UTC milliseconds at which the call times out. */
  readonly deadline: number;
}

export type BrokerHandler<Request = unknown, Reply = unknown> = (
  payload: Request,
  request: BrokerRequest,
) => Reply | PromiseLike<Reply>;

/** A peer, as events report it. */
export interface PeerEvent<Metadata = RegistryValue> {
  id: string;
  threadId: number;
  metadata: Metadata | undefined;
}

/** A peer as of now. */
export interface BrokerPeer<Metadata = RegistryValue> extends PeerEvent<Metadata> {
  /** The endpoints that it serves, sorted. */
  endpoints: string[];
  /** Requests sent to it and not answered yet. */
  load: number;
}

/** What this thread has called, answered, sent and received since it joined. */
export interface BrokerCounts {
  /** Calls that were sent. Each is in one of the next five, or in `pending`. */
  calls: number;
  replies: number;
  failures: number;
  timeouts: number;
  aborted: number;
  peersGone: number;
  /** Calls and messages refused because an inbox was full. */
  refused: number;
  /** Answers to calls that had ended. */
  late: number;
  /** Messages that were sent, counted per receiver. */
  sent: number;
  received: number;
  /** Of `received`, those that arrived without a listener. */
  unheard: number;
  /** Requests answered with a value. */
  served: number;
  /** Requests answered with an error. */
  failed: number;
  /** Requests not run because their deadline had passed. */
  expired: number;
}

export interface BrokerStats {
  /** Over all threads: peers, and endpoints that are served. */
  peers: number;
  endpoints: number;
  /** Over all threads: messages not taken from an inbox yet, and requests not answered yet. */
  waiting: number;
  inFlight: number;
  /** Over all threads: messages of `send` and `broadcast` that their receivers could not decode and dropped. */
  undecodable: number;
  /** Calls that this thread awaits. */
  pending: number;
  /** Handlers of this thread that have not settled. */
  running: number;
  /** This thread alone. */
  thread: BrokerCounts;
}

/**
 * Threads that find each other by name, call each other, and send each other messages. A thread is one peer, however many
 * objects it makes, until it closes or ends.
 *
 * Handlers and `'message'` listeners keep the thread alive, unless `unref` was called; so does an awaited call. After
 * `close` and after `destroy` every method but `close`, `off`, `ref` and `unref` fails with `CLOSED`.
 */
export class Broker<Metadata = RegistryValue> {
  /**
   * Joins the broker of this name, which the first thread creates.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `INVALID_VALUE` for metadata, `DUPLICATE_ID`,
   *   `CONFIG_MISMATCH` if this thread has joined under another id or the broker has another `inbox`.
   */
  constructor(name: string, options?: BrokerOptions<Metadata>);

  /** Ends the broker in all threads; their in-flight calls reject with `CLOSED`. False if there was none. */
  static destroy(name: string): boolean;

  readonly name: string;

  readonly id: string;

  /**
   * Serves an endpoint, a non-empty string of at most 128 characters. If several threads serve it, the least loaded is
   * called. The call resolves with what the handler returns, and rejects with what it throws.
   *
   * @throws {SluiceError} `DUPLICATE_ID` if this thread serves it already.
   */
  handle<Request = unknown, Reply = unknown>(endpoint: string, handler: BrokerHandler<Request, Reply>): this;

  /** Stops serving it; false if this thread did not serve it. Requests on their way fail with `NO_ENDPOINT`. */
  unhandle(endpoint: string): boolean;

  /**
   * Calls an endpoint's handler in the least loaded thread that serves it, which may be this one. Settles once: with the
   * answer, with the handler's error (a {@link CarriedError}), or with `TIMEOUT`, the signal's reason, `PEER_GONE`,
   * `NO_ENDPOINT`, `BACKPRESSURE`, `CLOSED`, or `INVALID_VALUE` if a value cannot travel or be decoded. After `TIMEOUT`,
   * `PEER_GONE` and an abort the handler may have run. Invalid arguments reject as well.
   */
  call<Reply = unknown>(endpoint: string, payload?: Payload, options?: CallOptions): Promise<Reply>;

  /**
   * Sends a message to a peer, which gets it as a `'message'` event. There is no answer.
   *
   * @throws {SluiceError} `PEER_GONE` if there is no such peer, `BACKPRESSURE` if its inbox is full, `INVALID_VALUE`.
   */
  send(peerId: string, payload: Payload): void;

  /** Sends a message to every other peer. Returns how many had room for it. */
  broadcast(payload: Payload): number;

  on<Message = unknown>(
    event: 'message',
    listener: (payload: Message, message: { from: string }) => void,
  ): this;
  on(event: 'peerJoin' | 'peerLeave', listener: (peer: PeerEvent<Metadata>) => void): this;
  /** A peer that was full has half of its inbox free again. */
  on(event: 'drain', listener: (peer: { id: string | undefined }) => void): this;
  once<Message = unknown>(
    event: 'message',
    listener: (payload: Message, message: { from: string }) => void,
  ): this;
  once(event: 'peerJoin' | 'peerLeave', listener: (peer: PeerEvent<Metadata>) => void): this;
  once(event: 'drain', listener: (peer: { id: string | undefined }) => void): this;
  off(event: 'message' | 'peerJoin' | 'peerLeave' | 'drain', listener: (...args: never[]) => void): this;

  /** All peers, this thread included, in the order in which they joined. */
  peers(): BrokerPeer<Metadata>[];

  /** The endpoints that are served, sorted. */
  endpoints(): string[];

  /** Calls that this thread awaits. */
  readonly pendingCount: number;

  /**
   * Starts and supervises workers.
   *
   * Rejects with `SPAWN_FAILED` if one of them does not join the broker; then none is left.
   */
  spawn(file: string | URL, options?: SpawnOptions): Promise<WorkerGroup>;

  /** Handlers and `'message'` listeners keep the thread alive. This is the default. */
  ref(): this;

  /** Handlers and listeners do not keep the thread alive. Awaited calls do. */
  unref(): this;

  /**
   * Closes the worker groups, accepts nothing new, answers pending requests, and leaves. After `timeout` (ten seconds by
   * default) it leaves anyway, and the callers get `PEER_GONE`. Calls that this thread still awaits reject with `CLOSED`.
   */
  close(options?: { timeout?: Duration }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;

  stats(): BrokerStats;
}
