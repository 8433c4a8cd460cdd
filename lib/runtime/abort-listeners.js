'use strict';

// A signal may have methods of its own, which must not run where a place was reserved.
const { addEventListener, removeEventListener } = EventTarget.prototype;
const abortedOf = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted').get;

/** By signal: all of ours who listen to it. */
const heard = new WeakMap();

/** Whether a value is a signal, and not only an object with its prototype. */
function isAbortSignal(value) {
  if (!(value instanceof AbortSignal)) return false;
  try {
    return typeof abortedOf.call(value) === 'boolean';
  } catch {
    return false;
  }
}

/** As the method of a signal, without those of its own. */
function throwIfAborted(signal) {
  if (abortedOf.call(signal)) throw signal.reason;
}

/**
 * Calls `listener` when the signal aborts. All of ours share one listener at the signal: a signal may end many calls at
 * once, and Node takes eleven listeners for a leak, and looks through all of them to add one.
 */
function addAbortListener(signal, listener) {
  const group = heard.get(signal) ?? listen(signal);
  group.listeners.add(listener);
}

/** The last of ours to go leaves nothing at the signal. */
function removeAbortListener(signal, listener) {
  const group = heard.get(signal);
  if (!group?.listeners.delete(listener) || group.listeners.size > 0) return;
  removeEventListener.call(signal, 'abort', group.tell);
  heard.delete(signal);
}

function listen(signal) {
  const listeners = new Set();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  const group = { listeners, tell };
  addEventListener.call(signal, 'abort', tell, { once: true });
  heard.set(signal, group);
  return group;
}

module.exports = { addAbortListener, isAbortSignal, removeAbortListener, throwIfAborted };
