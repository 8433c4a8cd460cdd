'use strict';

const { invalidOption } = require('../runtime/errors');
const { checkObject, checkOptions, duration, integer, owned, parseDuration } = require('../runtime/schema');
const { checkLevels } = require('../runtime/value-levels');
const { checkResourceLimits } = require('./resource-limits');

const MOST_WORKERS = 1024;
const DEFAULT_START_TIMEOUT = '30s';
const DEFAULT_TIMEOUT = '10s';
const DEFAULT_RESTART = { limit: 10, window: 60_000, backoff: 100 };
const DEFAULT_MAX_BACKOFF_MS = 10_000;

const RESTART_SCHEMA = { limit: integer(1), window: duration, backoff: duration, maxBackoff: duration };

const count = integer(1, MOST_WORKERS);

const restart = (value, option) => {
  if (value === false) return false;
  const checked = owned(DEFAULT_RESTART, checkOptions(option, value, RESTART_SCHEMA));
  const { backoff, maxBackoff = Math.max(backoff, DEFAULT_MAX_BACKOFF_MS) } = checked;
  if (maxBackoff >= backoff) return { ...checked, maxBackoff };
  throw invalidOption(
    `${option} maxBackoff`,
    maxBackoff,
    `a duration of at least ${backoff} ms, the backoff`,
  );
};

const SCHEMA = { count, restart, startTimeout: duration };

/** The options of `spawn`, with defaults; `workerOptions` are those passed on to Node's `Worker`. */
function checkSpawn(file, options) {
  if (!(file instanceof URL) && (typeof file !== 'string' || file === '')) {
    throw invalidOption('spawn file', file, 'a path or a URL, as `new Worker` takes it');
  }
  checkObject('spawn', options);
  const { count, restart, startTimeout, ...workerOptions } = owned(options);
  const checked = checkOptions('spawn', { count, restart, startTimeout }, SCHEMA);
  // Node would serialize a value that the new thread cannot read; the thread would die before its first line.
  checkLevels(workerOptions.workerData, 'spawn workerData');
  checkResourceLimits(workerOptions.resourceLimits);
  return {
    count: checked.count ?? 1,
    restart: checked.restart ?? { ...DEFAULT_RESTART, maxBackoff: DEFAULT_MAX_BACKOFF_MS },
    startTimeout: checked.startTimeout ?? parseDuration(DEFAULT_START_TIMEOUT),
    workerOptions,
  };
}

/** Milliseconds that workers have to leave. */
function leaveTimeout(what, options = {}) {
  const timeout = (value, option) => parseDuration(value, option, { least: 0 });
  return checkOptions(what, options, { timeout }).timeout ?? parseDuration(DEFAULT_TIMEOUT);
}

module.exports = { checkSpawn, count, leaveTimeout };
