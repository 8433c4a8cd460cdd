'use strict';

const { invalidOption, SluiceError } = require('../../runtime/errors');
const { native } = require('../../runtime/native');
const { checkOptions, oneOf, owned, parseDuration } = require('../../runtime/schema');
const { isSharedScope, sharedScope } = require('../../runtime/shared-scope');
const { serverOption } = require('./server');

const MOST_TIMEOUT_MS = 60_000;
const PREFIX = /^(?!.*[{}])[\x21-\x7e]{1,64}$/;

const DEFAULTS = { mode: 'exact', onError: 'local', timeout: 50, prefix: 'sluice:' };

const ACCEPTED =
  '"process", { shared: true | "directory", onMismatch? }, or { redis: "redis://host:port", mode?, onError?, timeout?, prefix? }';

const SCOPE = {
  redis: serverOption,
  mode: oneOf('exact', 'lease'),
  onError: oneOf('local', 'allow', 'deny'),
  timeout: timeoutOption,
  prefix: prefixOption,
};

/**
 * `'process'`, a scope of the machine as `sharedScope` returns it, or a scope of the fleet as native code takes it, with its `description`. No message repeats what may hold
 * a password.
 */
function scopeOption(value, option) {
  if (value === 'process') return value;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    const given = typeof value === 'string' ? 'a string' : typeof value;
    throw new SluiceError('INVALID_OPTION', `${option} is ${given}; accepted: ${ACCEPTED}`);
  }
  if (isSharedScope(value)) return sharedScope(value, option);
  const checked = owned(DEFAULTS, checkOptions(option, value, SCOPE));
  if (checked.redis === undefined) throw invalidOption(`${option} redis`, undefined, ACCEPTED);
  const { redis, mode, onError, timeout, prefix } = checked;
  const scope = owned(redis, { option, mode, onError, timeoutMs: timeout, prefix });
  return { native: scope, description: native.describeScope(scope) };
}

function timeoutOption(value, option) {
  const ms = parseDuration(value, option);
  if (ms <= MOST_TIMEOUT_MS) return ms;
  throw invalidOption(option, value, `a duration from 1 ms to ${MOST_TIMEOUT_MS} ms`);
}

function prefixOption(value, option) {
  if (typeof value === 'string' && PREFIX.test(value)) return value;
  throw invalidOption(option, value, '1 to 64 printable ASCII characters without spaces and braces');
}

module.exports = { scopeOption };
