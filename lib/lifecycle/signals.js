'use strict';

const { constants } = require('node:os');
const { isMainThread } = require('node:worker_threads');
const { invalidOption, SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { boolean, checkOptions } = require('../runtime/schema');

const DEFAULT_SIGNALS = ['SIGTERM', 'SIGINT'];

/** Those that the system lets nobody handle. */
const UNHEARD_SIGNALS = ['SIGKILL', 'SIGSTOP'];

/** Shells and npm pass a signal on that the system has sent to the whole group: within this time it is the same one. */
const REPEAT_MS = 500;

/**
 * Shuts down with the first signal, and ends the process with the second: another one, or the same kind again later
 * than a repeat. Returns what takes the handlers away again.
 *
 * `shutdown(options)` is the lifecycle's; `times` are the checkers of its options.
 */
function handleSignals(shutdown, times, options = {}) {
  const {
    signals = DEFAULT_SIGNALS,
    exit = true,
    ...given
  } = checkOptions('handleSignals', options, {
    ...times,
    signals: checkSignals,
    exit: boolean,
  });
  if (!isMainThread) {
    const message = 'handleSignals: Node tells only the main thread of signals; accepted: a call there';
    throw new SluiceError('UNSUPPORTED', message);
  }
  let first;
  const handler = (signal) => {
    const at = native.elapsed();
    if (first === undefined) {
      first = { signal, at };
      begin(signal);
    } else if (signal !== first.signal || at - first.at >= REPEAT_MS) {
      force(signal);
    }
  };

  const begin = (signal) => {
    if (exit) outlivePrimary();
    shutdown({ ...given, reason: signal }).then(
      ({ drained, hooks }) => end(drained && hooks.every(({ ok }) => ok) ? 0 : 1),
      () => end(codeOf(signal)),
    );
  };
  const force = (signal) => {
    if (exit) process.exit(codeOf(signal));
    shutdown({ timeout: 0, hooksTimeout: 0, reason: signal }).catch(() => {});
  };
  const end = (code) => {
    if (exit) process.exit(code);
  };

  for (const signal of signals) process.on(signal, handler);
  return () => {
    for (const signal of signals) process.off(signal, handler);
  };
}

/**
 * Ctrl-C reaches the primary of a cluster too, and Node ends a worker at once when its primary is gone, unless the worker
 * disconnects by itself. Here the shutdown ends it.
 */
function outlivePrimary() {
  const worker = process.connected ? require('node:cluster').worker : undefined;
  if (worker !== undefined && worker !== null) worker.exitedAfterDisconnect = true;
}

/** What a shell tells of a process that a signal ended. */
function codeOf(signal) {
  return 128 + constants.signals[signal];
}

function checkSignals(value, option) {
  const others = `other than ${UNHEARD_SIGNALS.join(' and ')}`;
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
    typeof name === 'string' && Object.hasOwn(constants.signals, name) && !UNHEARD_SIGNALS.includes(name)
  );
}

module.exports = { handleSignals };
