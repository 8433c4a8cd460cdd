'use strict';

const { invalidOption } = require('../runtime/errors');
const { ConnectionTracker } = require('../connection-tracker');
const { LoadShedder } = require('../load-shedder');
const { native } = require('../runtime/native');
const { checkOptions, owned } = require('../runtime/schema');
const { RateLimiter } = require('../rate-limiter');
const { Reputation } = require('../reputation');
const { SecurityMonitor } = require('../security-monitor');
const { Counts } = require('./counts');
const { exposition } = require('./guard-metrics');
const { guardStats } = require('./guard-stats');

const OPTIONS = { guards: guardNames };

/** What all guards of the process count, whichever threads created them, as one page for Prometheus. */
function metrics(options = {}) {
  const { guards = native.guardNames() } = checkOptions('metrics', options, OPTIONS);
  return exposition(guards.map(readGuard), { comments: true });
}

function guardNames(value, option) {
  const accepted = 'an array of guards, or of names of guards that exist';
  if (!Array.isArray(value)) throw invalidOption(option, value, accepted);
  const known = native.guardNames();
  // A copy has no holes.
  const names = [...value].map((one) => one?.name ?? one);
  const unknown = names.findIndex((name) => !known.includes(name));
  if (unknown >= 0) throw invalidOption(option, names[unknown], accepted);
  return [...new Set(names)];
}

/**
 * What `exposition` takes, for a guard of which this thread may have no object: attaches to its parts by their names. A
 * part that was destroyed is left out.
 */
function readGuard(name) {
  const options = owned(native.guardOptions(name, false));
  const counts = new Counts();
  // Attaches only: after a reset the next construction sets the options.
  counts.open(native.openGuard(name, undefined));
  const parts = {
    tracker: options.connections === 'off' ? null : attached(ConnectionTracker, name),
    reputation: attached(Reputation, options.reputation),
    monitor: attached(SecurityMonitor, options.monitor),
    shedder: options.overload === 'options' ? attached(LoadShedder, name) : null,
  };
  const limiters = limitersOf(counts.handle);
  const limiter = limiters.get(name) ?? null;
  return {
    guard: { name, limiter, ...parts },
    stats: guardStats(counts, { limiters, limiter, ...parts }),
  };
}

function limitersOf(handle) {
  const all = native.guardLimiters(handle).map((name) => [name, attached(RateLimiter, name)]);
  return new Map(all.filter(([, limiter]) => limiter !== null));
}

/** null for a part that the guard does not have, or that was destroyed. */
function attached(Part, name) {
  if (name === undefined) return null;
  try {
    return new Part(name);
  } catch {
    return null;
  }
}

module.exports = { metrics };
