// One contender in a new process; caller and callee are each pinned to a core.
import { answerWith } from '../child.mjs';
import { CONTENDERS } from './contenders.mjs';
import { payloads } from './loads.mjs';
import { pinThread } from './placement.mjs';

/** The number of calls that take the requested time, by load. */
const counts = new Map();
let run;

answerWith(async ({ open, ...load }) => {
  if (open === undefined) return measure(load);
  pinThread(open.caller);
  run = await CONTENDERS[open.name].open(open.callee);
});

/** Calls per second, CPU time of both threads per call in µs and, with one call in flight, p50 and p99 in µs. */
async function measure({ payload, inFlight, ms }) {
  const key = `${payload} ${inFlight}`;
  if (!counts.has(key)) counts.set(key, await calibrate(payload, inFlight, ms));
  const count = counts.get(key);
  const { elapsedMs, cpuUs, times } = await exchange(payload, inFlight, count);
  times.sort((a, b) => a - b);
  const quantile = (share) => 1000 * times[Math.floor(times.length * share)];
  return {
    perSecond: (1000 * count) / elapsedMs,
    cpu: cpuUs / count,
    ...(inFlight === 1 && { p50: quantile(0.5), p99: quantile(0.99) }),
  };
}

/** Also warms up: V8 has optimised the code by then. */
async function calibrate(payload, inFlight, ms) {
  for (let count = 2 * inFlight; ; count *= 2) {
    const { elapsedMs } = await exchange(payload, inFlight, count);
    if (elapsedMs > ms / 2) return Math.ceil((count * ms) / elapsedMs);
  }
}

async function exchange(payload, inFlight, count) {
  const carried = payloads(payload);
  const { make, take, times } = inFlight === 1 ? timed(carried) : { ...carried, times: [] };
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await run(count, inFlight, make, take);
  const elapsedMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  if (carried.balance !== 0) throw new Error('the answers do not match the calls');
  return { elapsedMs, cpuUs: user + system, times };
}

/** With one call in flight, `take` receives the answer to the last `make`. */
function timed({ make, take }) {
  const times = [];
  let madeAt;
  return {
    times,
    make() {
      madeAt = performance.now();
      return make();
    },
    take(answer) {
      times.push(performance.now() - madeAt);
      take(answer);
    },
  };
}
