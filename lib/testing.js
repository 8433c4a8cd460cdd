'use strict';

const { invalidOption, SluiceError } = require('./runtime/errors');
const { followReset, native } = require('./runtime/native');
const { checkOptions, oneOf, parseDuration } = require('./runtime/schema');

/** The year 2100. A hundred years more would leave the range of the clock. */
const LATEST_MS = 4_102_444_800_000;

const CLOCK = { follow: oneOf('timers') };

/**
 * Stops the clock of the whole process, for decisions, deadlines and reports, in every thread. It stands
 * where it was until it is set or advanced; `restore` lets it run again. With `follow: 'timers'` it shows the date of this
 * thread instead, which fake timers set.
 */
function manualClock(options = {}) {
  const { follow } = checkOptions('manualClock', options, CLOCK);
  refuseBesideShared();
  if (follow === 'timers') native.followClock(dateOfThread);
  else if (!native.isClockManual()) native.setClock(Math.floor(native.clockNow()));
  return {
    set(ms) {
      if (!Number.isInteger(ms) || ms < 0 || ms > LATEST_MS) {
        throw invalidOption('clock time', ms, `milliseconds as an integer from 0 to ${LATEST_MS}`);
      }
      refuseWhileFollowed('set');
      native.setClock(ms);
    },
    advance(duration) {
      const ms = parseDuration(duration, 'clock duration', { least: 0 });
      refuseWhileFollowed('advance');
      const rest = Math.floor(LATEST_MS - native.clockNow());
      if (ms > rest)
        throw invalidOption(
          'clock duration',
          duration,
          `at most ${rest} ms: the clock ends in the year 2100`,
        );
      native.advanceClock(ms);
    },
    restore() {
      native.restoreClock();
    },
    get now() {
      return native.clockNow();
    },
    [Symbol.dispose]() {
      native.restoreClock();
    },
  };
}

/** Processes share the time of the system: a clock that one of them sets would count for it alone. */
function refuseBesideShared() {
  const [shared] = native.sharedInstances();
  if (shared === undefined) return;
  const message = `manualClock: ${shared} is shared with other processes, whose time no test sets`;
  throw new SluiceError(
    'UNSUPPORTED',
    `${message}; accepted: a process without shared instances, or destroy() of them`,
  );
}

/** By the global `Date` of the moment, which a test runner replaces. */
function dateOfThread() {
  return Date.now();
}

function refuseWhileFollowed(method) {
  refuseBesideShared();
  if (native.isClockFollowed() === 0) return;
  const message = `clock.${method}: the clock follows timers; accepted: a move of the test runner's timers, or restore()`;
  throw new SluiceError('UNSUPPORTED', message);
}

/**
 * Empties every instance of the process, in all threads. Existing objects keep working; the next construction sets the
 * options of its instance.
 */
function reset() {
  if (process.env.NODE_ENV === 'production') {
    const message = 'reset: NODE_ENV is "production", where nothing is to be forgotten; accepted: a test';
    throw new SluiceError('UNSUPPORTED', message);
  }
  native.resetInstances();
  followReset();
}

module.exports = { manualClock, reset };
