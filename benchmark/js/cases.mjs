// The cases measured. A case is a kind of call under a load; all use the same clients.
import * as floors from './floors.mjs';
import * as guards from './guards.mjs';
import * as guardsOfOthers from './guards-of-others.mjs';
import * as hubs from './hubs.mjs';
import { addresses, inOrder } from './keys.mjs';
import * as others from './others.mjs';
import { loopOver } from './rounds.mjs';
import * as sluice from './sluice.mjs';

/** The row that all others are divided by. */
export const BASELINE = 'sluice tryConsume(key)';

export const LOADS = ['uniform', 'hot'];

/**
 * `by`: sluice, others, or the floor, the minimum that any native call costs. `task`: only calls with the same task are
 * compared. `open` returns the function to call, its items (clients by default), whether it admits, whether it is
 * awaited, and for how many keys it decides. `threads`: also measured in several threads.
 */
const KINDS = {
  [BASELINE]: { by: 'sluice', task: 'limit', threads: true, open: sluice.consuming },
  'sluice tryConsume(key), live states': { by: 'sluice', task: 'limit', open: sluice.consumingLive },
  'sluice tryConsume(key), refused': { by: 'sluice', task: 'limit', threads: true, open: sluice.refusing },
  'sluice handle.tryConsume()': { by: 'sluice', task: 'limit', threads: true, open: sluice.handles },
  'sluice consume(key)': { by: 'sluice', task: 'limit', threads: true, open: sluice.consumeWithDecision },
  'sluice consumeMany(64 keys), per key': { by: 'sluice', task: 'limit', open: sluice.consumingMany },
  'sluice peek(key)': { by: 'sluice', task: 'limit', open: sluice.peeking },
  'sluice tryConsume(key), fixed-window': { by: 'sluice', task: 'limit', open: sluice.fixedWindow },
  'sluice tryConsume(key), sliding-window': { by: 'sluice', task: 'limit', open: sluice.slidingWindow },
  'sluice tryConsume(key), two limits': {
    by: 'sluice',
    task: 'limit',
    threads: true,
    open: sluice.twoLimits,
  },
  'sluice Registry.get(key), unchanged': { by: 'sluice', task: 'read', threads: true, open: sluice.registry },
  'sluice reputation.isBanned(ip)': { by: 'sluice', task: 'bans', threads: true, open: guards.reputation },
  'sluice reputation.isBanned(ip), banned': { by: 'sluice', task: 'bans', open: guards.banned },
  'sluice reputation.isBanned(ip), ten ranges': { by: 'sluice', task: 'ten ranges', open: guards.tenRanges },
  'sluice reputation.isBanned(ip), 10 000 ranges': {
    by: 'sluice',
    task: 'ranges',
    threads: true,
    open: guards.manyRanges,
  },
  'sluice breaker.tryAcquire(peer), permit.success()': {
    by: 'sluice',
    task: 'permit',
    threads: true,
    open: guards.permits,
  },
  'sluice breaker.fire(peer, async fn)': { by: 'sluice', task: 'fire', open: guards.firing },
  'sluice breaker.fire(peer, async fn), no timeout': {
    by: 'sluice',
    task: 'fire without timeout',
    open: guards.firingWithoutTimeout,
  },
  'sluice breaker.fire(peer, async fn), which fails': {
    by: 'sluice',
    task: 'fail',
    open: guards.failing,
  },
  'sluice breaker.fire(peer, async fn), which waits': { by: 'sluice', task: 'wait', open: guards.waiting },
  'sluice breaker.fire(peer, async fn), which waits and fails': {
    by: 'sluice',
    task: 'wait and fail',
    open: guards.waitingAndFailing,
  },
  'sluice monitor.record(event, ip, detail)': {
    by: 'sluice',
    task: 'event',
    threads: true,
    open: guards.recording,
  },
  'sluice hub.getOrInit(key), fresh': { by: 'sluice', task: 'hub', open: hubs.getOrInit },
  'sluice hub.get(key), fresh': { by: 'sluice', task: 'hub get', threads: true, open: hubs.get },
  'a Map with performance.now(), fixed window': {
    by: 'others',
    task: 'limit',
    threads: true,
    open: others.ownMap,
  },
  'a Map, get(key)': { by: 'others', task: 'read', threads: true, open: others.mapGet },
  'rate-limiter-flexible RateLimiterMemory.consume(key)': {
    by: 'others',
    task: 'limit',
    open: others.flexible,
  },
  'express-rate-limit MemoryStore.increment(key)': { by: 'others', task: 'limit', open: others.memoryStore },
  '@fastify/rate-limit LocalStore.incr(key)': { by: 'others', task: 'limit', open: others.localStore },
  '@hyperlimit/core tryRequest(key)': { by: 'others', task: 'limit', open: others.hyperLimit },
  'a Map of bans with performance.now()': { by: 'others', task: 'bans', open: guardsOfOthers.mapOfBans },
  'net.BlockList.check(ip), 10 000 ranges': { by: 'others', task: 'ranges', open: guardsOfOthers.blockList },
  'opossum fire(), by default': { by: 'others', task: 'fire', open: guardsOfOthers.opossum },
  'opossum fire(), percentiles off': {
    by: 'others',
    task: 'fire',
    open: guardsOfOthers.opossumWithoutPercentiles,
  },
  'opossum fire(), percentiles off, which fails': {
    by: 'others',
    task: 'fail',
    open: guardsOfOthers.opossumFailing,
  },
  'opossum fire(), percentiles off, which waits': {
    by: 'others',
    task: 'wait',
    open: guardsOfOthers.opossumWaiting,
  },
  'opossum fire(), percentiles off, which waits and fails': {
    by: 'others',
    task: 'wait and fail',
    open: guardsOfOthers.opossumWaitingAndFailing,
  },
  'opossum fire(), percentiles off, no timeout': {
    by: 'others',
    task: 'fire without timeout',
    open: guardsOfOthers.opossumWithoutTimeout,
  },
  'cockatiel execute(async fn)': { by: 'others', task: 'fire', open: guardsOfOthers.cockatiel },
  'cockatiel execute(async fn), no timeout': {
    by: 'others',
    task: 'fire without timeout',
    open: guardsOfOthers.cockatielWithoutTimeout,
  },
  'lru-cache fetch(key), fresh': { by: 'others', task: 'hub', open: hubs.lruFetch },
  'async-cache-dedupe, defined function, fresh': { by: 'others', task: 'hub', open: hubs.dedupe },
  'lru-cache get(key), fresh': { by: 'others', task: 'hub get', open: hubs.lruGet },
  'floor: a raw call that does nothing': { by: 'floor', open: floors.rawNothing },
  'floor: a raw call, number in, number out': { by: 'floor', open: floors.rawNumber },
  'floor: a raw call that reads the key': { by: 'floor', open: floors.rawString },
  'floor: a raw call that reads the key and the clock and exchanges a word': {
    by: 'floor',
    open: floors.rawExchange,
  },
  'floor: Atomics.load, then a Map, get(key)': { by: 'floor', open: floors.mapBehindVersion },
  'floor: an async function': { by: 'floor', open: floors.asyncFunction },
  'floor: an async function that fails': { by: 'floor', open: floors.failingAsyncFunction },
  'floor: native.hashKey(key), string in': { by: 'floor', open: floors.hashing },
  'floor: native.registryVersion(handle), number in, number out': {
    by: 'floor',
    open: floors.numberInNumberOut,
  },
  'floor: native.clockNow(), number out': { by: 'floor', open: floors.clock },
};

export const names = Object.keys(KINDS);
export const threadedNames = names.filter((name) => KINDS[name].threads);

export function kindOf(name) {
  return KINDS[name];
}

/** The same strings for all cases, so that their place in memory does not differ. */
const clients = addresses();

/** Prepares a case and makes its clients known. Throws if its package cannot be loaded. */
export async function openCase(name, load) {
  const opened = await KINDS[name].open(load);
  const { call, items = clients, first = items === clients ? addresses() : items } = opened;
  const { admits = true, isAsync = false, keysPerCall = 1 } = opened;
  for (const item of first) await call(item);
  return {
    name,
    load,
    admits,
    keysPerCall,
    batch: loopOver(`${name}, ${load}`, inOrder(items, load), call, isAsync),
  };
}
