// Bytes that calls allocate on the JavaScript heap, measured in one process per call.
import { askOnce } from '../child.mjs';
import { table } from '../table.mjs';

const CALLS = [
  'sluice tryConsume(key)',
  'sluice handle.tryConsume()',
  'sluice consume(key)',
  'sluice consumeMany(64 keys), per key',
  'sluice Registry.get(key), unchanged',
  'sluice reputation.isBanned(ip)',
  'sluice breaker.tryAcquire(peer), permit.success()',
  'sluice breaker.fire(peer, async fn)',
  'sluice hub.getOrInit(key), fresh',
  'sluice monitor.record(event, ip, detail)',
  'a Map with performance.now(), fixed window',
  'rate-limiter-flexible RateLimiterMemory.consume(key)',
  'express-rate-limit MemoryStore.increment(key)',
  '@fastify/rate-limit LocalStore.incr(key)',
  '@hyperlimit/core tryRequest(key)',
  'opossum fire(), percentiles off',
  'lru-cache fetch(key), fresh',
];

/** A young generation large enough that no collection runs during a measurement. */
const execArgv = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];

/** Bytes per call, by name, of the calls that can be loaded here. */
export async function measureAllocation(names) {
  const url = new URL('allocation-child.mjs', import.meta.url);
  const bytes = {};
  for (const name of CALLS.filter((name) => names.has(name))) {
    bytes[name] = await askOnce(url, name, { execArgv });
  }
  return bytes;
}

export function allocation(bytes) {
  const rows = Object.entries(bytes).map(([name, each]) => [name, each.toFixed(0)]);
  return `### Allocated on the JavaScript heap\n\n${table(['call', 'bytes'], rows)}`;
}
