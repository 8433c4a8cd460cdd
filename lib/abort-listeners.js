'use strict';

/** By signal: all of ours who listen to it. */
const heard = new WeakMap();

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
  signal.removeEventListener('abort', group.tell);
  heard.delete(signal);
}

function listen(signal) {
  const listeners = new Set();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  const group = { listeners, tell };
  heard.set(signal, group);
  signal.addEventListener('abort', tell, { once: true });
  return group;
}

module.exports = { addAbortListener, removeAbortListener };
