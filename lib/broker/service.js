'use strict';

const { AsyncResource } = require('node:async_hooks');
const { outline, undecodable } = require('../runtime/carried-error');
const { describe, SluiceError } = require('../runtime/errors');
const { promiseOf } = require('../runtime/promise-of');
const { encode, encodeOwn } = require('./codec');
const { KIND } = require('./frame');
const { Request, reasonOf } = require('./request');

/** The answering side of a peer: its handlers, and the requests that they work on. */
class Service {
  #brokerName;
  #outgoing;
  /** By the endpoint's number: `{ handler, context }`. */
  #handlers = new Map();
  /** Requests that wait for a promise, by number: `{ number, request }` with the number of the peer that asked. */
  #running = new Map();
  /** Why nothing is answered any more: this peer has left. */
  #closed;

  /** `served` were answered, `failed` of them by an error, `expired` came too late to be run. */
  counts = { served: 0, failed: 0, expired: 0 };

  constructor(brokerName, outgoing) {
    this.#brokerName = brokerName;
    this.#outgoing = outgoing;
  }

  get size() {
    return this.#handlers.size;
  }

  get running() {
    return this.#running.size;
  }

  /** Handlers run in the asynchronous context in which they were added. */
  add(number, handler) {
    const context = new AsyncResource('sluice:Broker:handler');
    this.#handlers.set(number, { handler, context });
  }

  remove(number) {
    this.#handlers.delete(number);
  }

  /** A request has come. Whatever becomes of it, it is answered once, or nobody waits for it any more. */
  serve(from, sequence, place, endpoint, due, now, payload) {
    if (due <= now) {
      this.counts.expired += 1;
      this.#outgoing.answered();
      return;
    }
    const served = this.#handlers.get(endpoint);
    const task = { receiver: from.number, sequence, place };
    if (served === undefined) {
      this.#fail(task, this.#notServed());
      return;
    }
    const request = new Request(from.id, sequence, due);
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

  /** A request has come whose payload cannot be decoded. No handler sees it. */
  refuse(receiver, sequence, place, error) {
    this.#fail(
      { receiver, sequence, place },
      undecodable(`Broker "${this.#brokerName}": the payload`, error),
    );
  }

  /** Its caller does not wait any more. */
  cancel(sequence, cancelled) {
    this.#running.get(sequence)?.request.cancel(reasonOf(cancelled));
  }

  /** A peer has left: nobody waits for what it asked. */
  peerLeft(number, id) {
    for (const { number: asker, request } of this.#running.values()) {
      if (asker === number)
        request.cancel(new SluiceError('PEER_GONE', `Peer "${id}", which asked, is gone`));
    }
  }

  /** Everything was reset: earlier requests are no longer awaited. */
  followReset(first) {
    const reason = new SluiceError('CLOSED', `Broker "${this.#brokerName}" was reset`);
    for (const [sequence, { request }] of this.#running) if (sequence < first) request.cancel(reason);
  }

  /** This peer leaves: what still runs is answered to nobody. */
  close() {
    this.#closed = new SluiceError('CLOSED', `This peer has left broker "${this.#brokerName}"`);
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
    // A handler may have ended this very peer.
    if (this.#closed === undefined) this.#running.set(task.sequence, { number: task.receiver, request });
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

  /** The caller's place is given back, whatever becomes of the error. */
  #fail(task, error) {
    this.counts.failed += 1;
    try {
      this.#send(task, KIND.failure, encodeError(error));
    } finally {
      this.#answered();
    }
  }

  #send({ receiver, sequence, place }, kind, payload) {
    if (this.#closed === undefined) this.#outgoing.send(receiver, kind, payload, sequence, place);
  }

  #answered() {
    if (this.#closed === undefined) this.#outgoing.answered();
  }

  #notServed() {
    const message = `Broker "${this.#brokerName}": the peer that was asked does not serve this endpoint`;
    return new SluiceError('NO_ENDPOINT', message);
  }
}

function encodeError(thrown) {
  try {
    return encodeOwn(outlineOfError(thrown), 'an error');
  } catch (error) {
    return encodeOwn(outline(error), 'an error');
  }
}

/** What is no error travels as the cause of one: callers look for a message. */
function outlineOfError(thrown) {
  const outlined = outline(thrown);
  if (outlined.errors !== undefined) return outlined;
  const message =
    typeof thrown === 'string' ? thrown : `a handler threw ${describe(thrown)}, which is no Error`;
  return outline(new Error(message, { cause: outlined.value }));
}

module.exports = { Service };
