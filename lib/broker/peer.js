'use strict';

const { throwIfAborted } = require('../runtime/abort-listeners');
const { undecodable } = require('../runtime/carried-error');
const { Deadline } = require('../runtime/deadline');
const { SluiceError } = require('../runtime/errors');
const { Listeners } = require('../runtime/listeners');
const { MESSAGE_HEADER, ROUTE, TAKEN } = require('../runtime/layouts');
const { keepAlive, letGo, native, numbers } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { decode: decodeMetadata } = require('../runtime/value');
const { Call, Calls } = require('./calls');
const { CODEC, encode } = require('./codec');
const { KIND, incoming } = require('./frame');
const { Neighbours } = require('./neighbours');
const { poller } = require('./poller');
const { OutgoingQueue } = require('./outgoing-queue');
const { FULL, closedError, isReserved, refusal } = require('./refusal');
const { Service } = require('./service');
const { throwLater, unpack } = require('./unpack');
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
  #outgoing;
  #calls;
  #service;
  #isRef = true;
  #isHeld = false;
  /** Those of its workers; they add and remove themselves. */
  groups = new Set();
  /** Calls that failed after their place was reserved: a linked list. */
  #unsent;
  #hasWarned = false;
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
    try {
      this.#takePart(threadId, joining.metadata);
    } catch (error) {
      // A stack overflow: other threads must not send to a peer that never looks.
      this.#hasLeft = true;
      native.leaveBroker(this.#membership.handle);
      throw error;
    }
  }

  #takePart(threadId, metadata) {
    const { handle, number, id, others } = this.#membership;
    this.#neighbours = new Neighbours(handle);
    for (const other of others) this.#neighbours.add(other.number, other.id, other.threadId, other.metadata);
    this.#neighbours.add(number, id, threadId, metadata);
    this.#outgoing = new OutgoingQueue(handle, number, () => this.#onFlushed());
    this.#calls = new Calls(this.#brokerName, (call, why) => this.#cancel(call, why));
    this.#service = new Service(this.#brokerName, this.#outgoing);
    announceSoon(this);
    poller.add(this);
  }

  get brokerName() {
    return this.#brokerName;
  }

  get id() {
    return this.#membership.id;
  }

  get inbox() {
    return native.brokerInbox(this.#membership.handle);
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
    if (signal !== undefined) throwIfAborted(signal);
    const { handle } = this.#membership;
    // To one peer, an endpoint that nobody serves is for that peer to refuse.
    const number = this.#neighbours.endpoint(endpoint);
    const only = to === undefined ? 0 : this.#neighbours.numberOf(to);
    const call = new Call(endpoint, timeout, signal);
    // Set unless the stack ended in the constructor of the promise, which has rejected then.
    if (call.reject === undefined) return call.answer;
    this.#outgoing.prepare();
    let receiver = 0;
    try {
      receiver = to === undefined ? native.routeRequest(handle, number) : native.routeRequestTo(handle, only);
      if (isReserved(receiver)) {
        call.receiver = receiver;
        this.#request(call, number, numbers[ROUTE.SEQUENCE], numbers[ROUTE.NOW] + timeout, encoded);
        return call.answer;
      }
    } catch (error) {
      // A stack overflow. No function is called here, as it would overflow too; the next flush undoes what was done.
      call.reject = call.resolve = ignore;
      call.nextUnsent = this.#unsent;
      this.#unsent = call;
      this.#outgoing.hasUnusedPlaces = true;
      throw error;
    }
    throw this.#refusal(receiver, endpoint, to);
  }

  send(to, payload) {
    const encoded = encode(payload, 'payload');
    this.#checkOpen();
    const receiver = this.#neighbours.numberOf(to);
    this.#outgoing.prepare();
    let reserved = 0;
    try {
      reserved = native.reserveMessage(this.#membership.handle, receiver);
      if (isReserved(reserved)) {
        this.#outgoing.sendReserved(receiver, KIND.message, encoded, false);
        this.#counts.sent += 1;
        return;
      }
    } catch (error) {
      this.#outgoing.hasUnusedPlaces = true;
      throw error;
    }
    throw this.#refusal(reserved, undefined, to);
  }

  broadcast(payload) {
    const encoded = encode(payload, 'payload');
    this.#checkLives();
    this.#outgoing.prepare();
    try {
      const receivers = this.#outgoing.sendToAll(KIND.message, encoded);
      this.#counts.sent += receivers;
      return receivers;
    } catch (error) {
      this.#outgoing.hasUnusedPlaces = true;
      throw error;
    }
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

  /** Everything was reset: calls and requests of before are over, and nothing is counted yet. */
  followReset() {
    if (this.#hasLeft) return;
    const first = native.firstRequestSinceReset(this.#membership.handle);
    this.#calls.followReset(first);
    this.#service.followReset(first);
    for (const counts of [this.#counts, this.#calls.counts, this.#service.counts]) {
      for (const counter of Object.keys(counts)) counts[counter] = 0;
    }
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
    this.#outgoing.flush();
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
      this.#handleAll(taken, numbers[TAKEN.HEADERS], numbers[TAKEN.NOW]);
    } catch (error) {
      // Reports internal errors and keeps polling.
      throwLater(error);
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
    this.#outgoing.flush();
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
    unpack(taken, count, {
      onMessage: (kind, at, value) => {
        this.#handleMessage(kind, at, now, value);
        return !this.#hasLeft;
      },
      onUndecodable: (kind, at, error) => {
        this.#handleUndecodable(kind, at, error);
        return !this.#hasLeft;
      },
      onNews: (kind, at, values) => {
        this.#handleNews(
          kind,
          incoming[at + MESSAGE_HEADER.SENDER],
          incoming[at + MESSAGE_HEADER.SEQUENCE],
          values,
        );
        return !this.#hasLeft;
      },
    });
  }

  #handleMessage(kind, at, now, value) {
    const from = this.#neighbours.get(incoming[at + MESSAGE_HEADER.SENDER]);
    const sequence = incoming[at + MESSAGE_HEADER.SEQUENCE];
    const place = incoming[at + MESSAGE_HEADER.PLACE];
    switch (kind) {
      case KIND.request:
        this.#service.serve(
          from,
          sequence,
          place,
          incoming[at + MESSAGE_HEADER.ENDPOINT],
          incoming[at + MESSAGE_HEADER.DEADLINE],
          now,
          value,
        );
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
        this.#service.cancel(sequence, incoming[at + MESSAGE_HEADER.ENDPOINT]);
    }
  }

  /** Only this message is lost. A call of it rejects. */
  #handleUndecodable(kind, at, error) {
    const number = incoming[at + 1];
    const sequence = incoming[at + 2];
    const place = incoming[at + 3];
    if (kind === KIND.request) this.#service.refuse(number, sequence, place, error);
    else if (kind === KIND.message) this.#dropMessage(number, error);
    else this.#calls.undecodable(place, sequence, error);
  }

  #dropMessage(number, error) {
    native.countUndecodableInBroker(this.#membership.handle);
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { message } = undecodable(
      `${this.#title}: a message of peer "${this.#neighbours.get(number)?.id}"`,
      error,
    );
    process.emitWarning(message, {
      type: 'SluiceWarning',
      code: 'SLUICE_UNDECODABLE',
      detail: 'It was dropped. Those that follow are only counted, in stats().undecodable.',
    });
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
    this.#outgoing.forget(number);
    this.#calls.peerLeft(number, id);
    this.#service.peerLeft(number, id);
    this.#emit('peerLeave', event);
  }

  /** Sends what was promised a place. */
  #request(call, number, sequence, due, encoded) {
    call.sequence = sequence;
    const place = this.#calls.add(call, due);
    this.#outgoing.sendReserved(call.receiver, KIND.request, encoded, true, sequence, place, number, due);
    this.#counts.calls += 1;
  }

  #onFlushed() {
    for (let call = this.#unsent; call !== undefined; call = call.nextUnsent) this.#calls.drop(call);
    this.#unsent = undefined;
    this.#calls.watch();
    this.#lookWhetherFinished();
  }

  #cancel({ receiver, sequence }, why) {
    this.#outgoing.send(receiver, KIND.cancel, EMPTY, sequence, 0, why);
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

/** Settles a call whose promise was never handed out. */
const ignore = () => {};

/** How long a peer that closes works on what it was asked. */
const DEFAULT_CLOSE_MS = 10_000;

/** A peer that is asked to leave takes its time: whoever asked ends its thread when that is too long. 100 years. */
const WHILE_WAITED_FOR_MS = 36_525 * 86_400_000;

/** Peers of this thread of which nobody was told. */
const newcomers = [];

/** Whoever hears of a peer may call it: what it serves is known a turn later. */
function announceSoon(peer) {
  if (newcomers.length === 0) setImmediate(announceAll);
  newcomers.push(peer);
}

function announceAll() {
  for (const peer of newcomers.splice(0)) peer.announce();
}

module.exports = { DEFAULT_CLOSE_MS, Peer };
