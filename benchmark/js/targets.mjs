// What our calls shall cost, as quotients within a round: the same rows in every run.
import { median, ratio } from '../statistics.mjs';
import { BASELINE, LOADS } from './cases.mjs';

const ALLOWED = BASELINE;
const REFUSED = 'sluice tryConsume(key), refused';
const RAW_STRING = 'floor: a raw call that reads the key';
const RAW_NUMBER = 'floor: a raw call, number in, number out';

/** A row without `against` is of nanoseconds. */
const TARGETS = [
  { of: ALLOWED, against: RAW_STRING, atMost: 2.5 },
  { of: REFUSED, against: RAW_STRING, atMost: 2.5 },
  { of: 'sluice handle.tryConsume()', against: RAW_NUMBER, atMost: 1.5 },
  { of: ALLOWED, against: 'a Map with performance.now(), fixed window', atMost: 1 },
  { of: ALLOWED, against: '@hyperlimit/core tryRequest(key)', atMost: 0.25 },
  { of: ALLOWED, against: 'rate-limiter-flexible RateLimiterMemory.consume(key)', atMost: 0.2 },
  { of: 'sluice consume(key)', against: ALLOWED, atMost: 1.5 },
  { of: 'sluice Registry.get(key), unchanged', atMost: 30, unit: 'ns' },
];

export function targets(results) {
  return TARGETS.flatMap((target) => LOADS.map((load) => measured(target, load, results)));
}

/** `value` is undefined where the other could not be measured. */
function measured({ of, against, atMost, unit = '×' }, load, results) {
  const samplesOf = (name) => results.find((result) => result.name === name && result.load === load)?.samples;
  const [ours, theirs] = [samplesOf(of), samplesOf(against)];
  const what = against === undefined ? `${of} (${load})` : `${of} / ${against} (${load})`;
  if (against === undefined) return { what, atMost, unit, value: median(ours) };
  return { what, atMost, unit, value: theirs && ratio(ours, theirs) };
}
