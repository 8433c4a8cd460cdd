'use strict';

/** Functions of which a warning was given, as text. */
const warned = new Set();

/** Names of instances may be made up for each request: beyond so many, further functions stay unreported. */
const MOST_WARNED = 1_000;

/**
 * Warns of what a function of the user's threw, where the call goes on without its answer: once per thread and
 * `name`, which says whose function it is. `consequence` says how the call goes on. Never throws.
 */
function warnOfThrow(code, name, consequence, thrown) {
  if (warned.has(name) || warned.size >= MOST_WARNED) return;
  warned.add(name);
  const { message, stack } = readable(thrown);
  process.emitWarning(`${name} failed; ${consequence}: ${message}`, {
    type: 'SluiceWarning',
    code,
    detail: stack,
  });
}

/** `fn` without what it throws, or rejects with, of which the warning says so. */
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

/** What was thrown may have accessors that throw, or no text. */
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
