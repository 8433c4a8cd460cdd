'use strict';

const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { decode: decodeMetadata } = require('../runtime/value');
const { announceSoon } = require('./announcements');
const { BrokerEvents } = require('./broker-events');
const { Caller } = require('./caller');
const { Departure } = require('./departure');
const { Directory } = require('./directory');
const { Inbox } = require('./inbox');
const { InFlightCalls } = require('./in-flight-calls');
const { Membership } = require('./membership');
const { Messages } = require('./messages');
const { OutgoingQueue } = require('./outgoing-queue');
const { PeerListeners } = require('./peer-listeners');
const { poller } = require('./poller');
const { Refusals, closedError } = require('./refusals');
const { Service } = require('./service');
const { WorkerGroup } = require('./worker-group');

/** This thread as a member of a broker, put together from its parts. It ends when it is closed, or with its thread. */
class Peer {
  /** Worker groups, which add and remove themselves. */
  groups = new Set();
  /** What it calls and sends. */
  caller;
  messages;
  #membership;
  #parts;

  /** `forget` is called when the peer leaves. */
  constructor(brokerName, joining, threadId, forget) {
    this.#membership = new Membership(brokerName, joining);
    try {
      this.#assemble(threadId, joining.metadata, forget);
    } catch (error) {
      // A stack overflow: other threads must not send to a peer that never takes from its inbox.
      this.#membership.hasLeft = true;
      native.leaveBroker(this.#membership.handle);
      throw error;
    }
  }

  #assemble(threadId, metadata, forget) {
    const membership = this.#membership;
    /** @type {any} Each part takes what it needs of those before it. */
    const parts = { membership, counts: { calls: 0, sent: 0, received: 0, unheard: 0, refused: 0 } };
    this.#parts = parts;
    parts.directory = new Directory(membership);
    parts.directory.add(membership.number, membership.id, threadId, metadata);
    parts.queue = new OutgoingQueue(membership, () => this.#onFlushed());
    parts.inFlight = new InFlightCalls(membership, (call, reason) => parts.queue.sendCancel(call, reason));
    parts.service = new Service(parts);
    parts.listeners = new PeerListeners(parts);
    parts.refusals = new Refusals(parts);
    this.caller = new Caller(parts);
    this.messages = parts.messages = new Messages(parts);
    const stop = () => {
      poller.remove(parts.inbox);
      parts.listeners.updateKeepAlive();
    };
    parts.departure = new Departure(parts, this.groups, { forget, stop });
    parts.events = new BrokerEvents(parts);
    parts.inbox = new Inbox(parts);
    announceSoon(membership);
    poller.add(parts.inbox);
  }

  get brokerName() {
    return this.#membership.brokerName;
  }

  get id() {
    return this.#membership.id;
  }

  get hasLeft() {
    return this.#membership.hasLeft;
  }

  /** Whether the broker was destroyed, although this thread may not have been notified yet. */
  get isDestroyed() {
    return this.#membership.isDestroyed;
  }

  get pendingCount() {
    return this.#parts.inFlight.count;
  }

  handle(endpoint, handler) {
    this.#membership.checkAlive();
    this.#parts.service.handle(endpoint, handler);
    this.#parts.listeners.updateKeepAlive();
  }

  /** False if this thread does not serve the endpoint. */
  unhandle(endpoint) {
    this.#membership.checkAlive();
    const wasServed = this.#parts.service.unhandle(endpoint);
    this.#parts.listeners.updateKeepAlive();
    return wasServed;
  }

  on(event, listener, once) {
    this.#membership.checkAlive();
    this.#parts.listeners.add(event, listener, once);
  }

  off(event, listener) {
    this.#parts.listeners.remove(event, listener);
  }

  setRef(isRef) {
    this.#parts.listeners.setRef(isRef);
  }

  peers() {
    this.#membership.checkAlive();
    const served = new Map();
    for (const { name, peers } of native.brokerEndpoints(this.#membership.handle)) {
      for (const number of peers) served.set(number, [...(served.get(number) ?? []), name]);
    }
    return native.brokerPeers(this.#membership.handle).map((peer) => {
      const { number, id, threadId, metadata, load } = owned(peer);
      const endpoints = (served.get(number) ?? []).sort();
      return { id, threadId, metadata: metadata && decodeMetadata(metadata), endpoints, load };
    });
  }

  endpoints() {
    this.#membership.checkAlive();
    return native
      .brokerEndpoints(this.#membership.handle)
      .map(({ name }) => name)
      .sort();
  }

  stats() {
    this.#membership.checkAlive();
    const shared = native.brokerStats(this.#membership.handle);
    const thread = { ...this.#parts.counts, ...this.#parts.inFlight.counts, ...this.#parts.service.counts };
    return { ...shared, pending: this.#parts.inFlight.count, running: this.#parts.service.running, thread };
  }

  spawn(file, options) {
    if (this.#parts.departure.isClosing) throw closedError(this.#membership.title);
    this.#membership.checkAlive();
    return WorkerGroup.spawn(this, file, options);
  }

  /** Asks another peer to finish its work and leave; false if there is no peer with this id. */
  requestLeave(id) {
    this.#membership.checkOpen();
    return native.requestPeerLeave(this.#membership.handle, id);
  }

  close(timeout) {
    return this.#parts.departure.close(timeout);
  }

  /** Leaves at once and answers nothing: the broker was destroyed. */
  leave() {
    this.#parts.departure.leave();
  }

  /** Everything was reset: ends earlier calls and requests, and counts from 0. */
  followReset() {
    if (this.hasLeft) return;
    const first = native.firstRequestSinceReset(this.#membership.handle);
    this.#parts.inFlight.followReset(first);
    this.#parts.service.followReset(first);
    for (const counts of [this.#parts.counts, this.#parts.inFlight.counts, this.#parts.service.counts]) {
      for (const counter of Object.keys(counts)) counts[counter] = 0;
    }
  }

  #onFlushed() {
    this.caller.dropUnsent();
    this.#parts.inFlight.armDeadlines();
    this.#parts.departure.finishIfIdle();
  }
}

module.exports = { Peer };
