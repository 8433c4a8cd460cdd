// The harness: every case once per round, in a new order each round, so that noise affects all cases alike.

import { shuffled } from '../statistics.mjs';

const BATCH_MS = 4;

/**
 * The CPU time of this process, which excludes other processes and includes concurrent garbage collection. On Windows its
 * resolution is too low.
 */
export const processorMs = process.platform === 'win32' ? () => performance.now() : processorTime;

/**
 * A separate loop for each case: in a shared loop the call would be megamorphic, and all cases would cost more. The name is
 * part of the source, as V8 shares the feedback of functions with the same source. A batch continues where the last one
 * ended, and returns how many calls answered yes.
 */
export function loopOver(name, items, call, isAsync = false) {
  const last = items.length - 1; // a power of two less one
  const source = `// ${name}
  let next = 0;
  return ${isAsync ? 'async ' : ''}function batch(count) {
    let yes = 0;
    let i = next & ${last};
    for (const end = i + count; i < end; i++) if (${isAsync ? 'await ' : ''}call(items[i & ${last}])) yes++;
    next = i;
    return yes;
  }`;
  return new Function('items', 'call', source)(items, call);
}

/** Nanoseconds per key in each round, a row per case. */
export async function measure(cases, rounds) {
  const counts = [];
  for (const { batch } of cases) counts.push(await calibrate(batch));
  const samples = cases.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const index of shuffled(cases.length)) samples[index].push(await time(cases[index], counts[index]));
  }
  return samples;
}

async function time({ batch, admits, keysPerCall, name }, count) {
  const startedAt = processorMs();
  const yes = await batch(count);
  const ns = ((processorMs() - startedAt) * 1e6) / (count * keysPerCall);
  const expected = admits ? count : 0;
  if (yes !== expected) throw new Error(`${name}: ${yes} of ${count} calls passed, not ${expected}`);
  return ns;
}

function processorTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Calls before the first ones that are timed: a first call loads what it needs, which takes longer than many calls. */
const WARM_UP = 2_000;

/** Also warms up: V8 has optimised the code by then. */
export async function calibrate(batch) {
  await batch(WARM_UP);
  for (let count = 1_000; ; count *= 2) {
    const startedAt = performance.now();
    await batch(count);
    const ms = performance.now() - startedAt;
    if (ms > 5 * BATCH_MS) return Math.ceil((count * BATCH_MS) / ms);
  }
}
