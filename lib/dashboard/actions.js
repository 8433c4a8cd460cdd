'use strict';

const { attached } = require('../observation/attached');
const { inTime } = require('../observation/awaited');
const { namesIn } = require('../observation/scope');
const { isAddress } = require('../observation/shown-keys');
const { kLimits } = require('../rate-limiter/symbols');
const { SluiceError, invalid } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { parseDuration } = require('../runtime/schema');
const { circuitOf, keyOf, limiterOf } = require('./keys');

/** A reason that the page gives where the operator gives none. */
const BY_HAND = 'by an operator';

/**
 * What an operator can do. Each takes the request's fields and the names of the scope, does it, and returns what was done:
 * `{ client?, source?, what }`, of which `what` is a sentence, or a promise of that. What cannot be done is a `SluiceError`.
 */
const ACTIONS = {
  /** Lets a client in: ends its bans and resets its limits, wherever it has any. */
  async admit({ client }, names) {
    const key = keyOf(client, names);
    const lifted = isAddress(key) ? among(names, 'Reputation', (one) => one.unban(key)) : [];
    const { reset, away } = await resetIn(names, key);
    forget(names, key);
    const what = [
      lifted.length > 0 && `unbanned in ${list(lifted)}`,
      reset.length > 0 && `reset in ${list(reset)}`,
      away.length > 0 && `not known to be reset in ${list(away)}, as the server of the scope did not answer`,
    ];
    const done = what.filter(Boolean).join(', ');
    return { client: key, what: done === '' ? 'nothing held the client back' : done };
  },

  unban({ client, reputation }, names) {
    const key = keyOf(client, names);
    const one = instance(names, 'Reputation', reputation);
    if (!one.unban(key)) throw new SluiceError('NOT_FOUND', 'The client is not banned there any more.');
    forget(names, key);
    return { client: key, source: one.name, what: 'unbanned' };
  },

  ban({ client, reputation, duration, reason = BY_HAND }, names) {
    const key = keyOf(client, names);
    const one = instance(names, 'Reputation', reputation);
    const length = duration === 'forever' ? Number.POSITIVE_INFINITY : duration;
    one.ban(key, { duration: length, reason });
    return { client: key, source: one.name, what: `banned ${spanOf(duration)}` };
  },

  async block({ client, limiter: id, duration }, names) {
    const key = keyOf(client, names);
    const one = limiter(names, id);
    if (!(await inTime(one.blockAsync(key, duration))))
      throw new SluiceError('BACKPRESSURE', 'The limiter has no room for a block.');
    return { client: key, source: one.name, what: `blocked ${spanOf(duration)}` };
  },

  async reset({ client, limiter: id }, names) {
    const key = keyOf(client, names);
    const one = limiter(names, id);
    const hadState = await inTime(one.resetAsync(key));
    forget({ RateLimiter: [one.name], guards: [] }, key);
    return { client: key, source: one.name, what: hadState ? 'reset' : 'had its full quota' };
  },

  reconfigure({ limiter: id, limits }, names) {
    const one = limiter(names, id);
    const before = one[kLimits]();
    one.reconfigure(replacementOf(before, one.name, limits));
    const quotas = one[kLimits]().map(({ limit, windowMs }) => `${limit} per ${windowMs} ms`);
    return { source: one.name, what: `limited to ${quotas.join(', ')}` };
  },

  dryRun({ limiter: id, on }, names) {
    if (typeof on !== 'boolean') throw invalid('INVALID_VALUE', 'on', on, 'true or false');
    const one = limiter(names, id);
    one.reconfigure({ dryRun: on });
    return {
      source: one.name,
      what: on ? 'dry run on: it refuses no client' : 'dry run off: it refuses again',
    };
  },

  isolate({ circuit }, names) {
    const { name, target } = circuitOf(circuit);
    const one = instance(names, 'CircuitBreaker', name);
    one.isolate(target);
    return { source: one.name, target, what: 'isolated: calls are refused until it is reset' };
  },

  closeCircuit({ circuit }, names) {
    const { name, target } = circuitOf(circuit);
    const one = instance(names, 'CircuitBreaker', name);
    one.reset(target);
    return { source: one.name, target, what: 'reset: calls pass again' };
  },
};

/** Carries out the action that a request's body describes, in the scope of one guard or of the process. */
async function act({ action, ...fields }, guard) {
  if (typeof action !== 'string' || !Object.hasOwn(ACTIONS, action)) {
    throw invalid('INVALID_VALUE', 'action', action, Object.keys(ACTIONS).join(', '));
  }
  return { action, ...(await ACTIONS[action](fields, namesIn(guard))) };
}

/** An instance of the scope. */
function instance(names, kind, name) {
  const one = (names[kind] ?? []).includes(name) ? attached(kind, name) : null;
  if (one !== null) return one;
  throw new SluiceError('NOT_FOUND', `There is no ${kind} of this name here.`);
}

function limiter(names, id) {
  return instance(names, 'RateLimiter', limiterOf(id));
}

/** The names of the instances for which `run` answers true. Those that the key means nothing to are passed over. */
function among(names, kind, run) {
  return (names[kind] ?? []).filter((name) => {
    try {
      const one = attached(kind, name);
      return one !== null && run(one);
    } catch {
      return false;
    }
  });
}

/**
 * Resets a client in each limiter: `{ reset, away }`, the names of those that had counted it, and of those whose server did
 * not answer.
 */
async function resetIn(names, key) {
  const reset = [];
  const away = [];
  const each = async (name) => {
    try {
      if (await inTime(attached('RateLimiter', name)?.resetAsync(key))) reset.push(name);
    } catch (error) {
      if (error.code === 'ERR_SLUICE_SCOPE_UNAVAILABLE' || error.code === 'ERR_SLUICE_BACKPRESSURE')
        away.push(name);
    }
  };
  await Promise.all((names.RateLimiter ?? []).map(each));
  return { reset: reset.sort(), away: away.sort() };
}

/** Takes a client from the ranking of refused ones, where it was let in. */
function forget(names, key) {
  const sources = [...names.RateLimiter, ...names.guards.map(({ name }) => name)];
  for (const source of sources) native.forgetOffender(source, key);
}

/** What `reconfigure` takes, of the quotas that the page sends in the order of the limits in force. */
function replacementOf(before, name, limits) {
  if (!Array.isArray(limits) || limits.length !== before.length) {
    throw invalid('INVALID_VALUE', 'limits', limits, `a list of ${before.length} quotas { limit, window }`);
  }
  const quotas = limits.map((quota) => ({ limit: quota?.limit, window: quota?.window }));
  const isSingle = before.length === 1 && before[0].name === name;
  if (isSingle) return quotas[0];
  return { limits: quotas.map((quota, index) => ({ ...quota, name: before[index].name })) };
}

function spanOf(duration) {
  if (duration === 'forever') return 'for ever';
  return `for ${parseDuration(duration, 'duration')} ms`;
}

function list(names) {
  return names.map((name) => JSON.stringify(name)).join(', ');
}

module.exports = { act };
