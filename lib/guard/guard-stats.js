'use strict';

const { concurrencyStats } = require('./concurrency-gate');

/**
 * What a guard and its parts count, over all threads. A part that the guard does not have is null, except `concurrency` and
 * `overload`, which are left out.
 */
function guardStats(counts, { limiters, limiter, tracker, reputation, monitor, semaphores, shedder }) {
  const { refusedByQuota, refusedByConnections, refusedByBan, ...rest } = counts.all();
  const { refusedByConcurrency, refusedByOverload, ...others } = rest;
  const refused =
    refusedByQuota + refusedByConnections + refusedByBan + refusedByConcurrency + refusedByOverload;
  const stats = {
    ...others,
    refused,
    refusedBy: { quota: refusedByQuota, connections: refusedByConnections, ban: refusedByBan },
    rateLimit: statsOf(limiter),
    connections: statsOf(tracker),
    reputation: statsOf(reputation),
    monitor: statsOf(monitor),
    routes: {},
  };
  const concurrency = concurrencyStats(semaphores);
  if (concurrency !== null) {
    stats.concurrency = concurrency;
    stats.refusedBy.concurrency = refusedByConcurrency;
  }
  if (shedder !== null) {
    stats.overload = statsOf(shedder);
    stats.refusedBy.overload = refusedByOverload;
  }
  for (const [name, other] of limiters) {
    if (other !== limiter) stats.routes[name] = statsOf(other);
  }
  return stats;
}

/** null for a part that does not exist or was destroyed: the guard's own counts must stay readable then. */
function statsOf(instance) {
  try {
    return instance?.stats() ?? null;
  } catch {
    return null;
  }
}

module.exports = { guardStats, statsOf };
