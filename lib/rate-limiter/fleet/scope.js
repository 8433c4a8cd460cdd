'use strict';

const { invalidOption, SluiceError } = require('../../runtime/errors');
const { native } = require('../../runtime/native');
const { checkOptions, oneOf, owned, parseDuration } = require('../../runtime/schema');

const MOST_TIMEOUT_MS = 60_000;
const PREFIX = /^(?!.*[{}])[\x21-\x7e]{1,64}$/;

const DEFAULTS = { mode: 'exact', onError: 'local', timeout: 50, prefix: 'sluice:' };

const ACCEPTED = '"process", or { redis: "redis://host:port", mode?, onError?, timeout?, prefix? }';

/** What other versions take. Each would be wrong to ignore. */
const NOT_YET = {
  nodes: 'Redis Cluster is not supported yet; accepted: the url of one server that is no node of a cluster',
  sentinels: 'Sentinel is not supported yet; accepted: the url of the master',
  master: 'Sentinel is not supported yet; accepted: the url of the master',
  tls: 'TLS is not supported yet; accepted: a "redis://" url, over a private network or through a TLS proxy',
};

const text = (value, option) => {
  if (typeof value === 'string') return value;
  throw new SluiceError('INVALID_OPTION', `${option} is no string; accepted: a string`);
};

const database = (value, option) => {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff) return value;
  throw invalidOption(option, value, 'an integer from 0 to 65535');
};

const notYet = (name) => (_, option) => {
  throw new SluiceError('UNSUPPORTED', `${option}: ${NOT_YET[name]}`);
};

const SERVER = {
  url: text,
  username: text,
  password: text,
  database,
  ...Object.fromEntries(Object.keys(NOT_YET).map((name) => [name, notYet(name)])),
};

const SCOPE = {
  redis: serverOption,
  mode: oneOf('exact', 'lease'),
  onError: oneOf('local', 'allow', 'deny'),
  timeout: timeoutOption,
  prefix: prefixOption,
};

/**
 * `'process'`, or a scope of the fleet as native code takes it, with its `description`. No message repeats what may hold
 * a password.
 */
function scopeOption(value, option) {
  if (value === 'process') return value;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    const given = typeof value === 'string' ? 'a string' : typeof value;
    throw new SluiceError('INVALID_OPTION', `${option} is ${given}; accepted: ${ACCEPTED}`);
  }
  if (value.shared !== undefined) {
    const message = `${option}.shared: a scope of all processes of a machine is not supported yet`;
    throw new SluiceError('UNSUPPORTED', `${message}; accepted: ${ACCEPTED}`);
  }
  const checked = owned(DEFAULTS, checkOptions(option, value, SCOPE));
  if (checked.redis === undefined) throw invalidOption(`${option} redis`, undefined, ACCEPTED);
  const { redis, mode, onError, timeout, prefix } = checked;
  const scope = owned(redis, { mode, onError, timeoutMs: timeout, prefix });
  return { native: scope, description: native.describeScope(scope) };
}

/** Refuses limits that calls cannot be decided by in this scope. */
function checkScope(owner, { scope, limits }) {
  if (scope?.native?.mode !== 'lease' || limits === undefined || limits.length === 1) return;
  const given = `${owner} scope mode "lease" with ${limits.length} limits is not supported`;
  throw new SluiceError(
    'UNSUPPORTED',
    `${given}: units are held by one limit; accepted: one limit, or mode "exact"`,
  );
}

function serverOption(value, option) {
  const server = typeof value === 'string' ? { url: value } : value;
  if (server === null || typeof server !== 'object' || Array.isArray(server)) {
    const accepted = 'a url, or { url, username?, password?, database? }';
    throw new SluiceError('INVALID_OPTION', `${option} is no url; accepted: ${accepted}`);
  }
  const checked = checkOptions(option, server, SERVER);
  if (checked.url === undefined) {
    throw invalidOption(`${option} url`, undefined, 'a url such as "redis://host:6379"');
  }
  if (/^rediss:/i.test(checked.url)) notYet('tls')(undefined, `${option} with "rediss://"`);
  return checked;
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

module.exports = { checkScope, scopeOption };
