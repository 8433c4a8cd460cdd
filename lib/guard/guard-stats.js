'use strict';

/**
 * What a guard and its parts count, over all threads. A part that the guard does not have is null; a guard without
 * `overload` says nothing of it.
 */
function guardStats(counts, { limiters, limiter, tracker, reputation, monitor, shedder }) {
  const { refusedByQuota, refusedByConnections, refusedByBan, refusedByOverload, ...others } = counts.all();
  const isShedding = shedder !== null;
  const stats = {
    ...others,
    refused: refusedByQuota + refusedByConnections + refusedByBan + refusedByOverload,
    refusedBy: {
      quota: refusedByQuota,
      connections: refusedByConnections,
      ban: refusedByBan,
      ...(isShedding && { overload: refusedByOverload }),
    },
    rateLimit: statsOf(limiter),
    connections: statsOf(tracker),
    reputation: statsOf(reputation),
    monitor: statsOf(monitor),
    ...(isShedding && { overload: statsOf(shedder) }),
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
