import type { RegistryValue } from '../registry';
import type { Duration, OnMismatch } from '../runtime';
import type { SpawnOptions, WorkerGroup } from './worker-group';

/**
 * What travels between threads as it is: plain data, and beside it Buffers, typed arrays, `Date`, `Map` and `Set`. The
 * receiver gets a copy of its own, as the value was at the call. Functions, symbols, instances of classes, cycles, more
 * than 256 levels of nesting and 4 GiB of bytes or more are `INVALID_VALUE`.
 */
export type Payload = unknown;

/**
 * What another thread has thrown: an error of the same built-in class with its name, message, `code`, `cause`, `errors`
 * and own plain fields.
 */
export interface CarriedError extends Error {
  code?: unknown;
  errors?: unknown[];
  /** The stack in the thread that has thrown it. `stack` is that of this thread. Not enumerable. */
  readonly remoteStack: string;
}

export interface BrokerOptions<Metadata = RegistryValue> {
  /**
   * What others know this thread by; no two peers of a broker have one id.
   * @default `thread-<threadId>`
   */
  id?: string;
  /** What others are told of this thread: plain data. */
  metadata?: Metadata;
  /**
   * Messages that wait for a peer, and requests that it works on, at most; the next are `BACKPRESSURE`. The same for all
   * peers: given by the thread that creates the broker, compared where others give it.
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
   * How long the caller waits, at least; up to 8 ms more, and as long as its thread is busy.
   * @default '30s'
   */
  timeout?: Duration;
  /** Ends the call by its reason. */
  signal?: AbortSignal;
  /** The id of the one peer that is to answer, instead of the least loaded that serves the endpoint. */
  to?: string;
}

/** What a handler is told of a request. */
export interface BrokerRequest {
  /** The id of the peer that asks. */
  readonly from: string;
  /** The request's number: no two requests of a broker have one, and they rise over all threads. */
  readonly id: number;
  /** Aborts when nobody waits for the answer any more. It is made when it is asked for. */
  readonly signal: AbortSignal;
  /** UTC milliseconds from which nobody waits for the answer. */
  readonly deadline: number;
}

export type BrokerHandler<Request = unknown, Reply = unknown> = (
  payload: Request,
  request: BrokerRequest,
) => Reply | PromiseLike<Reply>;

/** A peer, as events tell of it. */
export interface PeerEvent<Metadata = RegistryValue> {
  id: string;
  threadId: number;
  metadata: Metadata | undefined;
}

/** A peer, as it is now. */
export interface BrokerPeer<Metadata = RegistryValue> extends PeerEvent<Metadata> {
  /** What it serves, sorted. */
  endpoints: string[];
  /** Requests that it was sent and has not answered. */
  load: number;
}

/** What one thread has called, answered, sent and received since it joined. */
export interface BrokerCounts {
  /** Calls that went out. How they ended: the next five, and `pending`. */
  calls: number;
  replies: number;
  failures: number;
  timeouts: number;
  aborted: number;
  peersGone: number;
  /** Calls and messages that were refused as an inbox was full. */
  refused: number;
  /** Answers that came when nobody waited for them. */
  late: number;
  /** Messages that went out, one for each receiver. */
  sent: number;
  received: number;
  /** Of `received`, those that came while nobody listened. */
  unheard: number;
  /** Requests answered by a value. */
  served: number;
  /** Requests answered by an error. */
  failed: number;
  /** Requests that were not run, as nobody waited any more. */
  expired: number;
}

export interface BrokerStats {
  /** Over all threads: who is there, and what is served. */
  peers: number;
  endpoints: number;
  /** Over all threads: messages not taken out yet, and requests not answered yet. */
  waiting: number;
  inFlight: number;
  /** Over all threads: messages of `send` and `broadcast` that their receivers dropped, as they could not decode them. */
  undecodable: number;
  /** Calls that this thread awaits. */
  pending: number;
  /** Handlers of this thread that have not settled. */
  running: number;
  /** This thread alone. */
  thread: BrokerCounts;
}

/**
 * Threads that find each other by a name, call each other, and send each other messages. A thread is one peer, however
 * many objects stand for it. It takes part from the first on, until it closes or ends.
 *
 * While it has handlers or listens for messages a thread stays alive, unless `unref` was called; and while it awaits a
 * call. After `close` and after `destroy` every method but `close`, `off`, `ref` and `unref` fails with `CLOSED`.
 */
export class Broker<Metadata = RegistryValue> {
  /**
   * Joins the broker of this name, which the first thread creates.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`, `INVALID_VALUE` for metadata, `DUPLICATE_ID`,
   *   `CONFIG_MISMATCH` where this thread has joined under another id or the broker has another `inbox`.
   */
  constructor(name: string, options?: BrokerOptions<Metadata>);

  /** Ends the broker in all threads; what they await rejects with `CLOSED`. False when there was none. */
  static destroy(name: string): boolean;

  readonly name: string;

  readonly id: string;

  /**
   * Serves an endpoint, a non-empty string of at most 128 characters. Several threads may; the least loaded is called.
   * What the handler returns is the answer, what it throws the caller's error.
   *
   * @throws {SluiceError} `DUPLICATE_ID` where this thread serves it already.
   */
  handle<Request = unknown, Reply = unknown>(endpoint: string, handler: BrokerHandler<Request, Reply>): this;

  /** Serves it no longer; false where this thread did not. Requests on their way are refused with `NO_ENDPOINT`. */
  unhandle(endpoint: string): boolean;

  /**
   * Has an endpoint's handler called in the least loaded thread that serves it, this one among them. Settles once: by the
   * answer, by the handler's error (a {@link CarriedError}), or by `TIMEOUT`, the signal's reason, `PEER_GONE`,
   * `NO_ENDPOINT`, `BACKPRESSURE`, `CLOSED`, `INVALID_VALUE` where a value cannot travel or be decoded. After `TIMEOUT`, `PEER_GONE` and an abort the handler may have
   * run. Mistakes reject as well.
   */
  call<Reply = unknown>(endpoint: string, payload?: Payload, options?: CallOptions): Promise<Reply>;

  /**
   * Sends a peer a message, its `'message'` event. Nobody answers it.
   *
   * @throws {SluiceError} `PEER_GONE` where there is no such peer, `BACKPRESSURE` where its inbox is full,
   *   `INVALID_VALUE`.
   */
  send(peerId: string, payload: Payload): void;

  /** Sends every other peer a message; how many had room for it. */
  broadcast(payload: Payload): number;

  on<Message = unknown>(
    event: 'message',
    listener: (payload: Message, message: { from: string }) => void,
  ): this;
  on(event: 'peerJoin' | 'peerLeave', listener: (peer: PeerEvent<Metadata>) => void): this;
  /** A peer that was full has room for half of its inbox again. */
  on(event: 'drain', listener: (peer: { id: string | undefined }) => void): this;
  once<Message = unknown>(
    event: 'message',
    listener: (payload: Message, message: { from: string }) => void,
  ): this;
  once(event: 'peerJoin' | 'peerLeave', listener: (peer: PeerEvent<Metadata>) => void): this;
  once(event: 'drain', listener: (peer: { id: string | undefined }) => void): this;
  off(event: 'message' | 'peerJoin' | 'peerLeave' | 'drain', listener: (...args: never[]) => void): this;

  /** Everybody, this thread among them, in the order in which they came. */
  peers(): BrokerPeer<Metadata>[];

  /** What is served, sorted. */
  endpoints(): string[];

  /** Calls that this thread awaits. */
  readonly pendingCount: number;

  /**
   * Starts workers and watches them.
   *
   * Rejects with `SPAWN_FAILED` where one of them does not join the broker; then none is left.
   */
  spawn(file: string | URL, options?: SpawnOptions): Promise<WorkerGroup>;

  /** Handlers and listeners keep the thread alive; so it is without a call. */
  ref(): this;

  /** Handlers and listeners keep no thread alive. Awaited calls do. */
  unref(): this;

  /**
   * Leaves: spawned workers first, then nothing new is taken and what was asked is answered. After `timeout` (by default
   * ten seconds) it leaves anyway: those who asked get `PEER_GONE`. What this thread awaits itself is rejected with
   * `CLOSED` when it leaves.
   */
  close(options?: { timeout?: Duration }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;

  stats(): BrokerStats;
}
