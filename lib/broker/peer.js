'use strict';

const { Deadline } = require('../deadline');
const { SluiceError } = require('../errors');
const { Listeners } = require('../listeners');
const { keepAlive, letGo, native, numbers } = require('../native');
const { owned } = require('../options');
const { decode: decodeMetadata } = require('../value');
const { Call, Calls } = require('./calls');
const { CODEC, encode } = require('./codec');
const { KIND, incoming } = require('./frame');
const { Neighbours } = require('./neighbours');
const { poller } = require('./poller');
const { Post } = require('./post');
const { FULL, closedError, isPromised, refusal } = require('./refusal');
const { Service } = require('./service');
const { unpack } = require('./unpack');
const { WorkerGroup } = require('./worker-group');

const EVENTS = ['message', 'peerJoin', 'peerLeave', 'drain'];

/** What has nothing to say. */
const EMPTY = { codec: CODEC.nothing, data: 'null' };

/**
 * This thread's part in a broker: what it calls, what it serves, and whom it knows. It ends when it is closed, or with its thread.
 */
class Peer {
  #brokerName;
  #membership;
  #neighbours;
  #served = new Set();
  #listeners = new Listeners('Broker', EVENTS);
  #post;
  #calls;
  #service;
  #isRef = true;
  #isHeld = false;
  /** Those of its workers; they add and remove themselves. */
  groups = new Set();
  /** `undefined` before it closes; then what tells when it has left. */
  #closing;
  /** Whether it leaves as soon as it has answered everything. */
  #isFinishing = false;
  #hasLeft = false;
  /** Told when it has: who keeps it, and where somebody waits for that. */
  #forget;
  #onLeft;
  /** Whether messages that were taken out are being told of. */
  #isTaking = false;
  #counts = { calls: 0, sent: 0, received: 0, unheard: 0, refused: 0 };

  /** `forget` is called when it has left. */
  constructor(brokerName, joining, threadId, forget) {
    this.#brokerName = brokerName;
    this.#forget = forget;
    this.#membership = native.joinBroker(brokerName, joining);
    const { handle, number, id, others } = this.#membership;
    this.#neighbours = new Neighbours(handle);
    for (const other of others) this.#neighbours.add(other.number, other.id, other.threadId, other.metadata);
    this.#neighbours.add(number, id, threadId, joining.metadata);
    this.#post = new Post(handle, number, () => this.#lookWhetherFinished());
    this.#calls = new Calls(brokerName, (call, why) => this.#cancel(call, why));
    this.#service = new Service(brokerName, this.#post);
    poller.add(this);
    announceSoon(this);
  }

  get brokerName() {
    return this.#brokerName;
  }

  get id() {
    return this.#membership.id;
  }

  get inbox() {
    return this.#membership.inbox;
  }

  get hasLeft() {
    return this.#hasLeft;
  }

  /** Whether there is no such broker any more, of which this thread may not have been told yet. */
  get isDestroyed() {
    return native.isBrokerDestroyed(this.#membership.handle);
  }

  get pendingCount() {
    return this.#calls.count;
  }

  handle(endpoint, handler) {
    this.#checkLives();
    if (this.#served.has(endpoint)) {
      const message = `${this.#title}: this thread serves "${endpoint}" already; unhandle it first`;
      throw new SluiceError('DUPLICATE_ID', message);
    }
    const number = native.serveEndpoint(this.#membership.handle, endpoint);
    this.#neighbours.addEndpoint(endpoint, number);
    this.#served.add(endpoint);
    this.#service.add(number, handler);
    this.#holdThread();
  }

  /** False where this thread does not serve it. Requests that are on their way are refused. */
  unhandle(endpoint) {
    this.#checkLives();
    if (!this.#served.delete(endpoint)) return false;
    native.withdrawEndpoint(this.#membership.handle, endpoint);
    this.#service.remove(this.#neighbours.endpoint(endpoint));
    this.#holdThread();
    return true;
  }

  call(endpoint, payload, timeout, signal, to) {
    // First: a getter in it may do anything.
    const encoded = encode(payload, 'payload');
    this.#checkOpen();
    signal?.throwIfAborted();
    const { handle } = this.#membership;
    // To one peer, an endpoint that nobody serves is for that peer to refuse.
    const number = this.#neighbours.endpoint(endpoint);
    const receiver =
      to === undefined
        ? native.routeRequest(handle, number)
        : native.routeRequestTo(handle, this.#neighbours.numberOf(to));
    if (!isPromised(receiver)) throw this.#refusal(receiver, endpoint, to);
    const sequence = numbers[0];
    const now = numbers[1];
    this.#counts.calls += 1;
    return new Promise((resolve, reject) => {
      const call = new Call(endpoint, receiver, sequence, timeout, signal, resolve, reject);
      const due = now + timeout;
      const place = this.#calls.add(call, due);
      this.#post.sendPromised(receiver, KIND.request, encoded, true, sequence, place, number, due);
    });
  }

  send(to, payload) {
    const encoded = encode(payload, 'payload');
    this.#checkOpen();
    const receiver = this.#neighbours.numberOf(to);
    const reserved = native.reserveMessage(this.#membership.handle, receiver);
    if (!isPromised(reserved)) throw this.#refusal(reserved, undefined, to);
    this.#counts.sent += 1;
    this.#post.sendPromised(receiver, KIND.message, encoded, false);
  }

  broadcast(payload) {
    const encoded = encode(payload, 'payload');
    this.#checkLives();
    const receivers = this.#post.sendToAll(KIND.message, encoded);
    this.#counts.sent += receivers;
    return receivers;
  }

  on(event, listener, once) {
    this.#checkLives();
    this.#listeners.add(event, listener, { once });
    this.#holdThread();
  }

  off(event, listener) {
    this.#listeners.remove(event, listener);
    this.#holdThread();
  }

  setRef(isRef) {
    this.#isRef = isRef;
    this.#holdThread();
  }

  peers() {
    this.#checkLives();
    const served = new Map();
    for (const { name, peers } of native.brokerEndpoints(this.#membership.handle)) {
      for (const number of peers) served.set(number, [...(served.get(number) ?? []), name]);
    }
    return native.brokerPeers(this.#membership.handle).map((told) => {
      const { number, id, threadId, metadata, load } = owned(told);
      const endpoints = (served.get(number) ?? []).sort();
      return { id, threadId, metadata: metadata && decodeMetadata(metadata), endpoints, load };
    });
  }

  endpoints() {
    this.#checkLives();
    return native
      .brokerEndpoints(this.#membership.handle)
      .map(({ name }) => name)
      .sort();
  }

  stats() {
    this.#checkLives();
    const shared = native.brokerStats(this.#membership.handle);
    const thread = { ...this.#counts, ...this.#calls.counts, ...this.#service.counts };
    return { ...shared, pending: this.#calls.count, running: this.#service.running, thread };
  }

  /** Asks another peer to finish what it does and leave; false where there is none of this id. */
  askToLeave(id) {
    this.#checkOpen();
    return native.askPeerToLeave(this.#membership.handle, id);
  }

  spawn(file, options) {
    if (this.#closing !== undefined) throw this.#closedError();
    this.#checkLives();
    return WorkerGroup.spawn(this, file, options);
  }

  /**
   * Its workers leave first. Then it takes nothing new, answers what it was asked, and leaves; after so many milliseconds
   * it leaves anyway.
   */
  close(timeout) {
    if (this.#closing === undefined) {
      this.#closing = this.groups.size === 0 ? this.#finish(timeout) : this.#closeGroups(timeout);
    }
    return this.#closing;
  }

  /** The others hear of it, unless it has sent them something before. */
  announce() {
    if (!this.#hasLeft) native.announceInBroker(this.#membership.handle);
  }

  /** At once, answering nothing: the broker was destroyed. */
  leave() {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#forget();
    this.#calls.close();
    this.#service.close();
    this.#post.flush();
    native.leaveBroker(this.#membership.handle);
    poller.remove(this);
    this.#holdThread();
    for (const group of this.groups) group.close();
    this.#onLeft?.();
  }

  /** For the poller: handles some of what waits; false when nothing did. */
  take(whenEmpty) {
    if (this.#hasLeft) return false;
    const taken = native.takeMessages(this.#membership.handle, whenEmpty);
    if (taken === undefined) return false;
    this.#isTaking = true;
    try {
      this.#handleAll(taken, numbers[0], numbers[1]);
    } catch (error) {
      // A fault of ours is told, and the thread goes on hearing.
      process.nextTick(() => {
        throw error;
      });
    }
    this.#isTaking = false;
    if (this.#isFinishing) this.#lookWhetherFinished();
    return true;
  }

  async #closeGroups(timeout) {
    const due = native.elapsed() + timeout;
    await Promise.all([...this.groups].map((group) => group.close({ timeout })));
    await this.#finish(Math.max(0, due - native.elapsed()));
  }

  #finish(timeout) {
    if (this.#hasLeft) return Promise.resolve();
    native.beginToLeaveBroker(this.#membership.handle);
    this.#post.flush();
    this.#isFinishing = true;
    this.#lookWhetherFinished();
    if (this.#hasLeft) return Promise.resolve();
    keepAlive();
    return new Promise((resolve) => {
      let deadline;
      this.#onLeft = () => {
        deadline?.cancel();
        letGo();
        resolve();
      };
      deadline = new Deadline(timeout, () => this.leave());
    });
  }

  #lookWhetherFinished() {
    if (this.#isFinishing && !this.#hasLeft && this.#isFinished()) this.leave();
  }

  /** Not while a message that was taken out has not been told of. */
  #isFinished() {
    if (this.#isTaking || this.#service.running > 0) return false;
    return native.hasFinishedInBroker(this.#membership.handle);
  }

  #handleAll(taken, count, now) {
    unpack(
      taken,
      count,
      (kind, at, value) => {
        this.#handleMessage(kind, at, now, value);
        return !this.#hasLeft;
      },
      (kind, at, values) => {
        this.#handleNews(kind, incoming[at + 1], incoming[at + 2], values);
        return !this.#hasLeft;
      },
    );
  }

  #handleMessage(kind, at, now, value) {
    const from = this.#neighbours.get(incoming[at + 1]);
    const sequence = incoming[at + 2];
    const place = incoming[at + 3];
    switch (kind) {
      case KIND.request:
        this.#service.serve(from, sequence, place, incoming[at + 4], incoming[at + 5], now, value);
        break;
      case KIND.reply:
        this.#calls.resolve(place, sequence, value);
        break;
      case KIND.failure:
        this.#calls.fail(place, sequence, value);
        break;
      case KIND.message:
        this.#receive(from, value);
        break;
      default:
        this.#service.cancel(sequence, incoming[at + 4]);
    }
  }

  #receive({ id }, payload) {
    this.#counts.received += 1;
    if (this.#listeners.count('message') > 0) this.#emit('message', payload, { from: id });
    else this.#counts.unheard += 1;
  }

  #handleNews(kind, number, threadId, [id, metadata]) {
    switch (kind) {
      case KIND.joined:
        this.#meet(number, id, threadId, metadata);
        break;
      case KIND.left:
        this.#part(number);
        break;
      case KIND.room:
        this.#emit('drain', { id: this.#neighbours.get(number)?.id });
        break;
      case KIND.askedToLeave:
        this.close(WHILE_WAITED_FOR_MS);
        break;
      default:
        this.leave();
    }
  }

  /** A listener that was for once may have been the last. */
  #emit(event, ...args) {
    this.#listeners.emit(event, ...args);
    if (this.#isHeld) this.#holdThread();
  }

  /** Who was there before this peer came, and is announced after that, is no news. */
  #meet(number, id, threadId, metadata) {
    if (this.#neighbours.get(number) !== undefined) return;
    this.#emit('peerJoin', this.#neighbours.add(number, id, threadId, metadata));
  }

  #part(number) {
    const { id, event } = this.#neighbours.get(number);
    this.#neighbours.remove(number);
    this.#post.forget(number);
    this.#calls.peerLeft(number, id);
    this.#service.peerLeft(number, id);
    this.#emit('peerLeave', event);
  }

  #cancel({ receiver, sequence }, why) {
    this.#post.send(receiver, KIND.cancel, EMPTY, sequence, 0, why);
  }

  #refusal(answer, endpoint, to) {
    if (answer === FULL) this.#counts.refused += 1;
    const { inbox } = this;
    return refusal(answer, { title: this.#title, endpoint, to, inbox, served: () => this.endpoints() });
  }

  /** The thread goes on while it serves, listens, or is asked something. */
  #holdThread() {
    const serves = this.#service.size > 0 || this.#listeners.count('message') > 0;
    const holds = !this.#hasLeft && this.#isRef && serves;
    if (holds === this.#isHeld) return;
    this.#isHeld = holds;
    if (holds) keepAlive();
    else letGo();
  }

  #checkOpen() {
    if (this.#hasLeft) throw this.#closedError();
  }

  /** Also where another thread has destroyed the broker a moment ago; costs a native call. */
  #checkLives() {
    if (this.#hasLeft || this.isDestroyed) throw this.#closedError();
  }

  #closedError() {
    return closedError(this.#title);
  }

  get #title() {
    return `Broker "${this.#brokerName}"`;
  }
}

/** How long a peer that closes works on what it was asked. */
const DEFAULT_CLOSE_MS = 10_000;

/** A peer that is asked to leave takes its time: whoever asked ends its thread when that is too long. 100 years. */
const WHILE_WAITED_FOR_MS = 36_525 * 86_400_000;

/** Peers of this thread of which nobody was told. */
const newcomers = [];

/** Whoever hears of a peer may call it: what it serves is known a turn later. */
function announceSoon(peer) {
  if (newcomers.push(peer) === 1) setImmediate(announceAll);
}

function announceAll() {
  for (const peer of newcomers.splice(0)) peer.announce();
}

module.exports = { DEFAULT_CLOSE_MS, Peer };
