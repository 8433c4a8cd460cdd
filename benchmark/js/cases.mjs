// What is measured. A case is one call of one kind, under one load; all are asked by the same clients.
import * as floors from './floors.mjs';
import { addresses, inOrder } from './keys.mjs';
import * as others from './others.mjs';
import * as ours from './ours.mjs';
import { loopOver } from './rounds.mjs';

/** What all others are divided by. */
export const BASELINE = 'sluice tryConsume(key)';

export const LOADS = ['uniform', 'hot'];

/**
 * `by`: ours, somebody else's, or the least that any native call costs. `task`: only calls with the same one
 * are rivals. `open` gives what is called, with which items (clients, if nothing else), whether it admits,
 * whether it is awaited and for how many keys it decides. `threads`: also measured in several.
 */
const KINDS = {
  [BASELINE]: { by: 'sluice', task: 'limit', threads: true, open: ours.consuming },
  'sluice tryConsume(key), refused': { by: 'sluice', task: 'limit', threads: true, open: ours.refusing },
  'sluice handle.tryConsume()': { by: 'sluice', task: 'limit', threads: true, open: ours.handles },
  'sluice consume(key)': { by: 'sluice', task: 'limit', threads: true, open: ours.consumeWithDecision },
  'sluice consumeMany(64 keys), per key': { by: 'sluice', task: 'limit', open: ours.consumingMany },
  'sluice peek(key)': { by: 'sluice', task: 'limit', open: ours.peeking },
  'sluice tryConsume(key), fixed-window': { by: 'sluice', task: 'limit', open: ours.fixedWindow },
  'sluice tryConsume(key), sliding-window': { by: 'sluice', task: 'limit', open: ours.slidingWindow },
  'sluice tryConsume(key), two limits': { by: 'sluice', task: 'limit', threads: true, open: ours.twoLimits },
  'sluice Registry.get(key), unchanged': { by: 'sluice', task: 'read', threads: true, open: ours.registry },
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
  'floor: a raw call that does nothing': { by: 'floor', open: floors.rawNothing },
  'floor: a raw call, number in, number out': { by: 'floor', open: floors.rawNumber },
  'floor: a raw call that reads the key': { by: 'floor', open: floors.rawString },
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

/** The same strings for all, or where they lie in memory would be measured too. */
const clients = addresses();

/** The case, ready to run; throws where a peer cannot be loaded. Its clients are known before it is timed. */
export async function openCase(name, load) {
  const opened = await KINDS[name].open(load);
  const { call, items = clients, first = items === clients ? addresses() : items } = opened;
  const { admits = true, isAsync = false, keysPerCall = 1 } = opened;
  for (const item of first) await call(item);
  return { name, load, admits, keysPerCall, batch: loopOver(inOrder(items, load), call, isAsync) };
}
