// Targets of calls, as ratios within a round: the same rows in every run.
import { median, ratio } from '../statistics.mjs';
import { BASELINE, LOADS } from './cases.mjs';

const ALLOWED = BASELINE;
const LIVE = 'sluice tryConsume(key), live states';
const REFUSED = 'sluice tryConsume(key), refused';
const RAW_STRING = 'floor: a raw call that reads the key';
const RAW_NUMBER = 'floor: a raw call, number in, number out';
const OWN_MAP = 'a Map with performance.now(), fixed window';

const IS_BANNED = 'sluice reputation.isBanned(ip)';
const MANY_RANGES = 'sluice reputation.isBanned(ip), 10 000 ranges';
const FIRED = 'sluice breaker.fire(peer, async fn)';
const WAITED = 'sluice breaker.fire(peer, async fn), which waits';
const GET = 'sluice Registry.get(key), unchanged';

const UNIFORM = ['uniform'];
const HOT = ['hot'];

/** A row without `against` is in nanoseconds; `loads`: those that it holds under, by default all. */
const TARGETS = [
  { of: ALLOWED, against: RAW_STRING, atMost: 1.75 },
  { of: REFUSED, against: RAW_STRING, atMost: 1.75 },
  { of: LIVE, against: RAW_STRING, atMost: 2, loads: UNIFORM },
  { of: LIVE, against: RAW_STRING, atMost: 1.6, loads: HOT },
  { of: 'sluice handle.tryConsume()', against: RAW_NUMBER, atMost: 1.3, loads: HOT },
  { of: ALLOWED, against: OWN_MAP, atMost: 0.7, loads: UNIFORM },
  { of: LIVE, against: OWN_MAP, atMost: 0.55, loads: UNIFORM },
  { of: LIVE, against: OWN_MAP, atMost: 0.9, loads: HOT },
  { of: ALLOWED, against: '@hyperlimit/core tryRequest(key)', atMost: 0.2, loads: UNIFORM },
  {
    of: ALLOWED,
    against: 'rate-limiter-flexible RateLimiterMemory.consume(key)',
    atMost: 0.14,
    loads: UNIFORM,
  },
  { of: 'sluice consume(key)', against: ALLOWED, atMost: 1.45 },
  { of: 'sluice consumeMany(64 keys), per key', against: ALLOWED, atMost: 1 },
  { of: GET, against: 'a Map, get(key)', atMost: 1.3, loads: UNIFORM },
  { of: GET, atMost: 15, unit: 'ns', loads: HOT },
  { of: 'sluice hub.getOrInit(key), fresh', atMost: 1000, unit: 'ns' },
  { of: 'sluice hub.get(key), fresh', atMost: 1000, unit: 'ns' },
  { of: IS_BANNED, against: ALLOWED, atMost: 1.5 },
  { of: MANY_RANGES, against: 'sluice reputation.isBanned(ip), ten ranges', atMost: 1.3 },
  { of: 'net.BlockList.check(ip), 10 000 ranges', against: MANY_RANGES, atLeast: 20 },
  { of: 'sluice breaker.tryAcquire(peer), permit.success()', against: ALLOWED, atMost: 2.5 },
  { of: FIRED, against: 'opossum fire(), percentiles off', atMost: 0.8 },
  { of: FIRED, against: 'opossum fire(), by default', atMost: 0.8 },
  { of: 'sluice breaker.fire(peer, async fn), which fails', against: FIRED, atMost: 2 },
  { of: 'sluice breaker.fire(peer, async fn), which waits and fails', against: WAITED, atMost: 2 },
  { of: 'sluice monitor.record(event, ip, detail)', against: ALLOWED, atMost: 4 },
];

export function targets(results) {
  return TARGETS.flatMap(({ loads = LOADS, ...target }) =>
    loads.map((load) => measured(target, load, results)),
  );
}

/** `value` is undefined if one of the two was not measured. */
function measured({ of, against, unit = '×', ...bound }, load, results) {
  const samplesOf = (name) => results.find((result) => result.name === name && result.load === load)?.samples;
  const [sluice, rival] = [samplesOf(of), samplesOf(against)];
  const what = against === undefined ? `${of} (${load})` : `${of} / ${against} (${load})`;
  if (against === undefined) return { what, ...bound, unit, value: median(sluice) };
  return { what, ...bound, unit, value: sluice && rival && ratio(sluice, rival) };
}
