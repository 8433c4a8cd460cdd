// Targets of calls, as ratios within a round: the same rows in every run.
import { median, ratio } from '../statistics.mjs';
import { BASELINE, LOADS } from './cases.mjs';

const ALLOWED = BASELINE;
const REFUSED = 'sluice tryConsume(key), refused';
const RAW_STRING = 'floor: a raw call that reads the key';
const RAW_NUMBER = 'floor: a raw call, number in, number out';

const IS_BANNED = 'sluice reputation.isBanned(ip)';
const MANY_RANGES = 'sluice reputation.isBanned(ip), 10 000 ranges';
const FIRED = 'sluice breaker.fire(peer, async fn)';
const WAITED = 'sluice breaker.fire(peer, async fn), which waits';

/** A row without `against` is in nanoseconds. */
const TARGETS = [
  { of: ALLOWED, against: RAW_STRING, atMost: 2.5 },
  { of: REFUSED, against: RAW_STRING, atMost: 2.5 },
  { of: 'sluice handle.tryConsume()', against: RAW_NUMBER, atMost: 1.5 },
  { of: ALLOWED, against: 'a Map with performance.now(), fixed window', atMost: 1 },
  { of: ALLOWED, against: '@hyperlimit/core tryRequest(key)', atMost: 0.25 },
  { of: ALLOWED, against: 'rate-limiter-flexible RateLimiterMemory.consume(key)', atMost: 0.2 },
  { of: 'sluice consume(key)', against: ALLOWED, atMost: 1.5 },
  { of: 'sluice Registry.get(key), unchanged', atMost: 30, unit: 'ns' },
  { of: 'sluice hub.getOrInit(key), fresh', atMost: 1000, unit: 'ns' },
  { of: 'sluice hub.get(key), fresh', atMost: 1000, unit: 'ns' },
  { of: IS_BANNED, against: ALLOWED, atMost: 1.5 },
  { of: MANY_RANGES, against: 'sluice reputation.isBanned(ip), ten ranges', atMost: 1.3 },
  { of: 'net.BlockList.check(ip), 10 000 ranges', against: MANY_RANGES, atLeast: 20 },
  { of: 'sluice breaker.tryAcquire(peer), permit.success()', against: ALLOWED, atMost: 1.5 },
  { of: FIRED, against: 'opossum fire(), percentiles off', atMost: 0.8 },
  { of: FIRED, against: 'opossum fire(), by default', atMost: 0.8 },
  { of: 'sluice breaker.fire(peer, async fn), which fails', against: FIRED, atMost: 2 },
  { of: 'sluice breaker.fire(peer, async fn), which waits and fails', against: WAITED, atMost: 2 },
  { of: 'sluice monitor.record(event, ip, detail)', against: ALLOWED, atMost: 3 },
];

export function targets(results) {
  return TARGETS.flatMap((target) => LOADS.map((load) => measured(target, load, results)));
}

/** `value` is undefined if one of the two was not measured. */
function measured({ of, against, unit = '×', ...bound }, load, results) {
  const samplesOf = (name) => results.find((result) => result.name === name && result.load === load)?.samples;
  const [sluice, rival] = [samplesOf(of), samplesOf(against)];
  const what = against === undefined ? `${of} (${load})` : `${of} / ${against} (${load})`;
  if (against === undefined) return { what, ...bound, unit, value: median(sluice) };
  return { what, ...bound, unit, value: sluice && rival && ratio(sluice, rival) };
}
