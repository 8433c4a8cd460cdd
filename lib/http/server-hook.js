'use strict';

/** The order in which subscriptions see an event, lowest first. Of equal ones, the later subscription is first. */
const HOOK_ORDER = Object.freeze({
  /** A banned client is refused before a tracker counts its socket or charges it for opening a connection. */
  BAN_GATE: 0,
  /** A socket that a tracker refuses is not a served connection: a shutdown does not count it. */
  CONNECTION_TRACKER: 1,
  /** The admitted connections and their requests, which a shutdown waits for. */
  SERVED_CONNECTIONS: 2,
});

/** On an `emit` of this package without subscriptions: the function that it passes events to. All copies share it. */
const kPassesTo = Symbol.for('sluice.passesTo');

/** The hook of each server. */
const hooks = new WeakMap();

const NO_SOCKETS = new Set();

/**
 * Calls `handlers[event](first, second)` with the first two arguments of the server's events, before any listener. A
 * handler that returns false ends the event: later handlers and all listeners do not see it. An error that a handler
 * throws is thrown by `emit`. A handler that returns a promise, which must not reject, holds the event: it goes on once that
 * has resolved to anything but false. Returns a function that ends the subscription.
 *
 * Listeners cannot do this: they cannot keep a refused socket or request from the server's own listeners, and a listener
 * for `'upgrade'` or `'connect'` would change what Node does without one. So the hook replaces `emit`; no other module does.
 * The end of the last subscription restores it. If another library has wrapped it meanwhile, the hook stays in the chain and
 * passes every event on.
 */
function hookServer(server, order, handlers) {
  let hook = hooks.get(server);
  if (hook === undefined) {
    hook = new ServerHook(server);
    hooks.set(server, hook);
  }
  return hook.subscribe(order, handlers);
}

/** The accepted sockets of a server that a handler holds: no later handler and no listener has seen them. */
function heldSockets(server) {
  return hooks.get(server)?.heldSockets ?? NO_SOCKETS;
}

/** The replaced `emit` of one server, and its subscriptions. */
class ServerHook {
  #server;
  /** The function in the place of the server's `emit`; `undefined` without subscriptions. */
  #emit;
  /** The function that was in its place before. */
  #replaced;
  /** By event, in their order. The lists are replaced, never changed: a handler may end subscriptions. */
  #handlers = new Map();
  heldSockets = new Set();

  constructor(server) {
    this.#server = server;
  }

  subscribe(order, handlers) {
    this.#install();
    const added = Object.entries(handlers).map(([event, handle]) => [event, { order, handle }]);
    for (const [event, handler] of added) this.#add(event, handler);
    return () => {
      for (const [event, handler] of added.splice(0)) this.#remove(event, handler);
      if (this.#handlers.size === 0) this.#uninstall();
    };
  }

  #add(event, handler) {
    const known = this.#handlers.get(event) ?? [];
    const later = known.findIndex(({ order }) => order >= handler.order);
    this.#handlers.set(event, known.toSpliced(later < 0 ? known.length : later, 0, handler));
  }

  #remove(event, handler) {
    const left = this.#handlers.get(event).filter((other) => other !== handler);
    if (left.length > 0) this.#handlers.set(event, left);
    else this.#handlers.delete(event);
  }

  /** Puts the hook outermost, unless it is: another library may have wrapped it, or put an older `emit` back. */
  #install() {
    const { emit } = this.#server;
    if (emit === this.#emit) return;
    this.#retire();
    const hook = this;
    const hooked = function (event, ...args) {
      const pass = () => emit.call(this, event, ...args);
      if (hook.#emit === hooked && hook.#ends(event, args, pass)) return true;
      return pass();
    };
    this.#emit = hooked;
    this.#replaced = emit;
    this.#server.emit = hooked;
  }

  /** From now on the function in place, if there is one, only passes events on. */
  #retire() {
    if (this.#emit !== undefined) this.#emit[kPassesTo] = this.#replaced;
    this.#emit = undefined;
  }

  #uninstall() {
    this.#retire();
    const { emit } = this.#server;
    let own = emit;
    while (own[kPassesTo] !== undefined) own = own[kPassesTo];
    if (own !== emit) restoreEmit(this.#server, own);
  }

  #ends(event, args, pass) {
    const handlers = this.#handlers.get(event);
    return handlers !== undefined && this.#handle(handlers, 0, { event, args, pass });
  }

  /** Calls the handlers from this place on. Whether the event ends here, or is held. */
  #handle(handlers, from, emitted) {
    const [first, second] = emitted.args;
    for (let at = from; at < handlers.length; at += 1) {
      const answer = handlers[at].handle(first, second);
      if (answer === false) return true;
      if (typeof answer === 'object' && answer !== null) {
        this.#hold(answer, handlers[at], emitted);
        return true;
      }
    }
    return false;
  }

  /** Exceptions of listeners are uncaught, as those of an event that was not held. */
  async #hold(answer, handler, emitted) {
    const isSocket = emitted.event === 'connection';
    const [socket] = emitted.args;
    if (isSocket) this.heldSockets.add(socket);
    const passes = await answer;
    process.nextTick(() => {
      if (isSocket) this.heldSockets.delete(socket);
      if (passes !== false) this.#resume(handler, emitted);
    });
  }

  /**
   * Goes on after this handler. Subscriptions that were made meanwhile see the event too. Where this one has ended, those of its
   * order may see the event again.
   */
  #resume(handler, emitted) {
    const handlers = this.#handlers.get(emitted.event) ?? [];
    const at = handlers.indexOf(handler);
    const later = handlers.findIndex(({ order }) => order >= handler.order);
    const next = at < 0 ? later : at + 1;
    const isEnded = next >= 0 && this.#handle(handlers, next, emitted);
    if (!isEnded) emitted.pass();
  }
}

/** A server of Node inherits its `emit`. */
function restoreEmit(server, emit) {
  Reflect.deleteProperty(server, 'emit');
  if (server.emit !== emit) server.emit = emit;
}

module.exports = { HOOK_ORDER, heldSockets, hookServer };
