'use strict';

const { onProcess } = require('./native');
const { warn } = require('./warn');

/** Names of the functions that were warned about. */
const warned = new Set();

onProcess('reset', () => warned.clear());

/** Bounds the set: an application may create instances without end. Beyond it no further function is reported. */
const MOST_WARNED = 1_000;

/**
 * Warns that a function of the user's threw: once per thread and `name`, which names the function and its instance.
 * `consequence` says what happens instead. Never throws.
 */
function warnOfThrow(code, name, consequence, thrown) {
  if (warned.has(name) || warned.size >= MOST_WARNED) return;
  warned.add(name);
  const { message, stack } = readable(thrown);
  warn(code, `${name} failed; ${consequence}: ${message}`, stack);
}

/** Wraps `fn`: a warning replaces what it throws or rejects with. */
function warningInstead(code, name, consequence, fn) {
  const warn = (thrown) => warnOfThrow(code, name, consequence, thrown);
  return (...args) => {
    try {
      const result = fn(...args);
      if (typeof result?.then === 'function') Promise.resolve(result).catch(warn);
    } catch (thrown) {
      warn(thrown);
    }
  };
}

/** A thrown value may have accessors that throw, or no text. */
function readable(thrown) {
  try {
    const { stack } = Object(thrown);
    const message = thrown instanceof Error ? thrown.message : thrown;
    return { message: String(message), stack: typeof stack === 'string' ? stack : undefined };
  } catch {
    return { message: 'an error that cannot be read', stack: undefined };
  }
}

module.exports = { warnOfThrow, warningInstead };
