'use strict';

// A signal may have methods of its own. They must not run while capacity is reserved.
const { addEventListener, removeEventListener } = EventTarget.prototype;
const abortedOf = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted').get;

/** The listeners of this package, by signal. */
const groups = new WeakMap();

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
 * Calls `listener` when the signal aborts. All listeners of this package share one at the signal: a signal may end many
 * calls at once, Node warns of a leak at eleven listeners, and scans all of them to add one.
 */
function addAbortListener(signal, listener) {
  const group = groups.get(signal) ?? listen(signal);
  group.listeners.add(listener);
}

/** With the last listener nothing is left at the signal. */
function removeAbortListener(signal, listener) {
  const group = groups.get(signal);
  if (!group?.listeners.delete(listener) || group.listeners.size > 0) return;
  removeEventListener.call(signal, 'abort', group.notify);
  groups.delete(signal);
}

function listen(signal) {
  const listeners = new Set();
  const notify = () => {
    for (const listener of listeners) listener();
  };
  const group = { listeners, notify };
  addEventListener.call(signal, 'abort', notify, { once: true });
  groups.set(signal, group);
  return group;
}

module.exports = { addAbortListener, isAbortSignal, removeAbortListener, throwIfAborted };
