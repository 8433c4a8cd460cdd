'use strict';

const { constants } = require('node:os');
const { isMainThread } = require('node:worker_threads');
const { invalidOption, SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { boolean, checkOptions } = require('../runtime/schema');

const DEFAULT_SIGNALS = ['SIGTERM', 'SIGINT'];

/** Signals that no process can handle. */
const UNHANDLED_SIGNALS = ['SIGKILL', 'SIGSTOP'];

/** Shells and npm pass on a signal that the system has sent to the whole group. Within this time it is the same signal. */
const REPEAT_MS = 500;

/**
 * The first signal shuts down. The second ends the process: another kind, or the same kind after `REPEAT_MS`. Returns a
 * function that removes the handlers.
 *
 * `shutdown(options)` is that of the lifecycle; `times` has the checkers of its options.
 */
function handleSignals(shutdown, times, options = {}) {
  const schema = { ...times, signals: checkSignals, exit: boolean };
  const { signals = DEFAULT_SIGNALS, exit = true, ...given } = checkOptions('handleSignals', options, schema);
  if (!isMainThread) {
    const message =
      'handleSignals: Node delivers no signals to worker threads; accepted: a call in the main thread';
    throw new SluiceError('UNSUPPORTED', message);
  }
  const handler = handlerOf(exit ? exitingReactions(shutdown, given) : reactions(shutdown, given));
  for (const signal of signals) process.on(signal, handler);
  return () => {
    for (const signal of signals) process.off(signal, handler);
  };
}

/** Distinguishes the first signal, its repeats and the second signal. */
function handlerOf({ begin, force }) {
  let first;
  return (signal) => {
    const at = native.elapsed();
    if (first === undefined) {
      first = { signal, at };
      begin(signal);
    } else if (signal !== first.signal || at - first.at >= REPEAT_MS) {
      force(signal);
    }
  };
}

/** The process ends when nothing is left to do. */
function reactions(shutdown, options) {
  return {
    begin: (signal) => void shutdown({ ...options, reason: signal }).catch(() => {}),
    force: (signal) => void shutdown({ timeout: 0, hooksTimeout: 0, reason: signal }).catch(() => {}),
  };
}

/** The process exits with the end of the shutdown, or with the second signal. */
function exitingReactions(shutdown, options) {
  return {
    begin: (signal) => {
      outlivePrimary();
      shutdown({ ...options, reason: signal }).then(
        ({ drained, hooks }) => process.exit(drained && hooks.every(({ ok }) => ok) ? 0 : 1),
        () => process.exit(codeOf(signal)),
      );
    },
    force: (signal) => process.exit(codeOf(signal)),
  };
}

/**
 * Ctrl-C also reaches the primary of a cluster. Node ends a worker at once when its primary is gone, unless the worker has
 * marked its exit as wanted. This one exits with its shutdown.
 */
function outlivePrimary() {
  /** @type {any} The types of Node.js lack `worker`. */
  const cluster = process.connected ? require('node:cluster') : undefined;
  const worker = cluster?.worker;
  if (worker !== undefined && worker !== null) worker.exitedAfterDisconnect = true;
}

/** The exit code that a shell reports for a process that a signal ended. */
function codeOf(signal) {
  return 128 + constants.signals[signal];
}

function checkSignals(value, option) {
  const others = `other than ${UNHANDLED_SIGNALS.join(' and ')}`;
  if (!Array.isArray(value) || value.length === 0) {
    const accepted = `a non-empty array of names of signals ${others}, such as ["SIGTERM", "SIGINT"]`;
    throw invalidOption(option, value, accepted);
  }
  const signals = [...value];
  const invalid = signals.findIndex((name) => !canHandle(name));
  if (invalid >= 0) {
    const accepted = `the name of a signal ${others}, such as "SIGTERM"`;
    throw invalidOption(`${option}[${invalid}]`, signals[invalid], accepted);
  }
  return [...new Set(signals)];
}

function canHandle(name) {
  return (
    typeof name === 'string' && Object.hasOwn(constants.signals, name) && !UNHANDLED_SIGNALS.includes(name)
  );
}

module.exports = { handleSignals };
