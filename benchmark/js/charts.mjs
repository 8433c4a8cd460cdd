// Data of the plots of calls.
import { cores } from '../machine.mjs';
import { median } from '../statistics.mjs';
import { kindOf, LOADS } from './cases.mjs';
import { COUNTS } from './threads.mjs';

const COSTS = [
  'sluice tryConsume(key)',
  'sluice handle.tryConsume()',
  'sluice consume(key)',
  'a Map with performance.now(), fixed window',
  'rate-limiter-flexible RateLimiterMemory.consume(key)',
  'express-rate-limit MemoryStore.increment(key)',
  '@fastify/rate-limit LocalStore.incr(key)',
  '@hyperlimit/core tryRequest(key)',
  'floor: a raw call that reads the key',
];
/** Cases by the shorter names that the plot shows. */
const GUARDS = {
  'sluice tryConsume': 'sluice tryConsume(key)',
  'sluice isBanned': 'sluice reputation.isBanned(ip)',
  'sluice isBanned, 10 000 ranges': 'sluice reputation.isBanned(ip), 10 000 ranges',
  'sluice tryAcquire, success': 'sluice breaker.tryAcquire(peer), permit.success()',
  'sluice fire': 'sluice breaker.fire(peer, async fn)',
  'sluice fire, no timeout': 'sluice breaker.fire(peer, async fn), no timeout',
  'sluice fire, which fails': 'sluice breaker.fire(peer, async fn), which fails',
  'sluice record': 'sluice monitor.record(event, ip, detail)',
  'a Map of bans': 'a Map of bans with performance.now()',
  'net.BlockList, 10 000 ranges': 'net.BlockList.check(ip), 10 000 ranges',
  'opossum, by default': 'opossum fire(), by default',
  'opossum, percentiles off': 'opossum fire(), percentiles off',
  'opossum, which fails': 'opossum fire(), percentiles off, which fails',
  cockatiel: 'cockatiel execute(async fn)',
  'cockatiel, no timeout': 'cockatiel execute(async fn), no timeout',
};
const THREADED = [
  'sluice tryConsume(key)',
  'sluice tryConsume(key), refused',
  'sluice Registry.get(key), unchanged',
  'a Map with performance.now(), fixed window',
];
const THREADED_GUARDS = [
  'sluice isBanned',
  'sluice isBanned, 10 000 ranges',
  'sluice tryAcquire, success',
  'sluice record',
];
const GROUPS = { uniform: '10 000 keys', hot: 'one hot key' };

export function costChart(results) {
  return {
    file: 'calls',
    kind: 'bars',
    title: 'One call in one thread',
    unit: 'ns',
    groups: LOADS.map((load) => GROUPS[load]),
    series: COSTS.map((name) => ({
      name: name.replace(' with performance.now(), fixed window', ''),
      highlighted: kindOf(name).by === 'sluice',
      values: LOADS.map((load) => medianOf(find(results, name, load)?.samples)),
    })),
  };
}

export function guardChart(results) {
  return {
    file: 'calls-guards',
    kind: 'bars',
    title: 'Bans, circuits and events: one call in one thread',
    unit: 'ns; logarithmic',
    log: true,
    groups: Object.keys(GUARDS),
    series: LOADS.map((load) => ({
      name: GROUPS[load],
      values: Object.values(GUARDS).map((name) => medianOf(find(results, name, load)?.samples)),
    })),
  };
}

export function threadCharts(results) {
  return [
    threadChart(results, 'threads', 'Threads that call at once on the same 10 000 keys', THREADED),
    threadChart(
      results,
      'threads-guards',
      'Bans, circuits and events of the same 10 000 keys',
      THREADED_GUARDS,
    ),
  ];
}

function threadChart(results, file, title, names) {
  return {
    file,
    kind: 'lines',
    title,
    unit: 'million calls per second, together',
    x: { name: 'threads', values: COUNTS },
    series: names.map((name) => ({
      name,
      highlighted: kindOf(fullName(name)).by === 'sluice',
      values: find(results, fullName(name), 'uniform').byCount.map(
        (ns, at) => (1000 * COUNTS[at]) / median(ns),
      ),
    })),
    ...(COUNTS.at(-1) > cores && {
      shadedFrom: COUNTS.findLast((count) => count <= cores),
      shade: 'more threads than cores',
    }),
  };
}

function fullName(name) {
  return GUARDS[name] ?? name;
}

function find(results, name, load) {
  return results.find((result) => result.name === name && result.load === load);
}

function medianOf(samples) {
  return samples === undefined ? null : median(samples);
}
