'use strict';

const { AsyncResource } = require('node:async_hooks');
const { outline, undecodable } = require('../runtime/carried-error');
const { describe, SluiceError } = require('../runtime/errors');
const { MESSAGE_HEADER } = require('../runtime/layouts');
const { native } = require('../runtime/native');
const { promiseOf } = require('../runtime/promise-of');
const { encode, encodeOwn } = require('./codec');
const { KIND, incoming } = require('./headers');
const { Request, reasonOf } = require('./request');

/** The serving side of a peer: its handlers, and the requests that they work on. */
class Service {
  #membership;
  #directory;
  #queue;
  /** Names of the endpoints that this thread serves. */
  #served = new Set();
  /** By the endpoint's number: `{ handler, context }`. */
  #handlers = new Map();
  /** Requests whose handler has returned a promise, by number: `{ caller, request }` with the caller's number. */
  #running = new Map();
  /** Why nothing is answered any more, once this peer has left. */
  #closed;

  /** Requests: `served` were answered by a value, `failed` by an error, `expired` arrived too late to run. */
  counts = { served: 0, failed: 0, expired: 0 };

  constructor({ membership, directory, queue }) {
    this.#membership = membership;
    this.#directory = directory;
    this.#queue = queue;
  }

  /** How many endpoints have a handler. */
  get size() {
    return this.#handlers.size;
  }

  /** How many requests have not settled. */
  get running() {
    return this.#running.size;
  }

  /** Serves an endpoint. The handler runs in the current asynchronous context. */
  handle(endpoint, handler) {
    const { title, handle } = this.#membership;
    if (this.#served.has(endpoint)) {
      const message = `${title}: this thread serves "${endpoint}" already; unhandle it first`;
      throw new SluiceError('DUPLICATE_ID', message);
    }
    const number = native.serveEndpoint(handle, endpoint);
    this.#directory.addEndpoint(endpoint, number);
    this.#served.add(endpoint);
    this.#handlers.set(number, { handler, context: new AsyncResource('sluice:Broker:handler') });
  }

  /** Stops serving an endpoint; false if this thread does not serve it. Requests on their way are refused. */
  unhandle(endpoint) {
    if (!this.#served.delete(endpoint)) return false;
    native.withdrawEndpoint(this.#membership.handle, endpoint);
    this.#handlers.delete(this.#directory.endpoint(endpoint));
    return true;
  }

  /**
   * Runs the handler of a request whose header begins at `at`. Every request is answered once, unless its caller no
   * longer awaits it.
   */
  serve(from, at, now, payload) {
    const due = incoming[at + MESSAGE_HEADER.DEADLINE];
    if (due <= now) {
      this.counts.expired += 1;
      this.#queue.requestAnswered();
      return;
    }
    const served = this.#handlers.get(incoming[at + MESSAGE_HEADER.ENDPOINT]);
    const task = new Task(from.number, at);
    if (served === undefined) {
      this.#fail(task, this.#notServed());
      return;
    }
    const request = new Request(from.id, task.sequence, due);
    let result;
    try {
      result = served.context.runInAsyncScope(served.handler, undefined, payload, request);
      if (typeof result?.then === 'function') {
        this.#await(task, request, result);
        return;
      }
    } catch (error) {
      this.#fail(task, error);
      return;
    }
    this.#reply(task, result);
  }

  /** Releases the capacity of a request that no peer awaits. Its handler does not run. */
  ignore() {
    this.#queue.requestAnswered();
  }

  /** Fails a request whose payload cannot be decoded. Its handler does not run. */
  refuse(at, error) {
    const what = `${this.#membership.title}: the payload`;
    this.#fail(new Task(incoming[at + MESSAGE_HEADER.SENDER], at), undecodable(what, error));
  }

  /** Aborts the signal of a request that its caller no longer awaits. */
  cancel(sequence, cancelled) {
    this.#running.get(sequence)?.request.cancel(reasonOf(cancelled));
  }

  /** Aborts the signals of requests from a peer that has left. */
  peerLeft(number, id) {
    for (const { caller, request } of this.#running.values()) {
      if (caller === number)
        request.cancel(new SluiceError('PEER_GONE', `Peer "${id}", which asked, is gone`));
    }
  }

  /** Aborts the signals of requests that were sent before everything was reset. */
  followReset(first) {
    const reason = new SluiceError('CLOSED', `${this.#membership.title} was reset`);
    for (const [sequence, { request }] of this.#running) if (sequence < first) request.cancel(reason);
  }

  /** This peer leaves: aborts the signals of running requests, which are not answered any more. */
  close() {
    this.#closed = new SluiceError('CLOSED', `This peer has left broker "${this.#membership.brokerName}"`);
    for (const { request } of this.#running.values()) request.cancel(this.#closed);
    this.#running.clear();
    this.#handlers.clear();
  }

  #await(task, request, result) {
    promiseOf(result).then(
      (value) => {
        if (this.#running.delete(task.sequence)) this.#reply(task, value);
      },
      (error) => {
        if (this.#running.delete(task.sequence)) this.#fail(task, error);
      },
    );
    // The handler may have made this peer leave.
    if (this.#closed === undefined) this.#running.set(task.sequence, { caller: task.receiver, request });
    else request.cancel(this.#closed);
  }

  #reply(task, value) {
    try {
      this.#send(task, KIND.reply, encode(value, 'the handler’s result'));
    } catch (error) {
      this.#fail(task, error);
      return;
    }
    this.counts.served += 1;
    this.#answered();
  }

  /** Releases the request's capacity whatever happens to the error. */
  #fail(task, error) {
    this.counts.failed += 1;
    try {
      this.#send(task, KIND.failure, encodeError(error));
    } finally {
      this.#answered();
    }
  }

  #send(task, kind, payload) {
    if (this.#closed === undefined) this.#queue.sendReply(task, kind, payload);
  }

  #answered() {
    if (this.#closed === undefined) this.#queue.requestAnswered();
  }

  #notServed() {
    const message = `${this.#membership.title}: the peer that was asked does not serve this endpoint`;
    return new SluiceError('NO_ENDPOINT', message);
  }
}

/** Where the answer of a request goes: to a peer, and there to a slot of its in-flight calls. */
class Task {
  constructor(receiver, at) {
    this.receiver = receiver;
    this.sequence = incoming[at + MESSAGE_HEADER.SEQUENCE];
    this.slot = incoming[at + MESSAGE_HEADER.SLOT];
  }
}

function encodeError(thrown) {
  try {
    return encodeOwn(outlineOfError(thrown), 'an error');
  } catch (error) {
    return encodeOwn(outline(error), 'an error');
  }
}

/** A thrown value that is not an error travels as the cause of one, since callers expect a message. */
function outlineOfError(thrown) {
  const outlined = outline(thrown);
  if (outlined.errors !== undefined) return outlined;
  const message =
    typeof thrown === 'string' ? thrown : `a handler threw ${describe(thrown)}, which is no Error`;
  return outline(new Error(message, { cause: outlined.value }));
}

module.exports = { Service };
