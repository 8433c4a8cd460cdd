'use strict';

const { concurrencyStats } = require('./concurrency-gate');

/** What a guard and its parts count, over all threads. A part that the guard does not have is null. */
function guardStats(counts, { limiters, limiter, tracker, reputation, monitor, semaphores }) {
  const { refusedByQuota, refusedByConnections, refusedByBan, refusedByConcurrency, ...others } =
    counts.all();
  const stats = {
    ...others,
    refused: refusedByQuota + refusedByConnections + refusedByBan + refusedByConcurrency,
    refusedBy: {
      quota: refusedByQuota,
      connections: refusedByConnections,
      ban: refusedByBan,
      concurrency: refusedByConcurrency,
    },
    rateLimit: statsOf(limiter),
    connections: statsOf(tracker),
    concurrency: concurrencyStats(semaphores),
    reputation: statsOf(reputation),
    monitor: statsOf(monitor),
    routes: {},
  };
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

module.exports = { guardStats };
