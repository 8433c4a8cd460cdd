// The part `semaphore`: a semaphore of sluice beside limits of concurrency that belong to one thread.

import { calibrate, processorMs } from '../js/rounds.mjs';
import { median, NOTICEABLE, ratio, shuffled, spread } from '../statistics.mjs';
import { table } from '../table.mjs';
import { batchOf, IN_LINE, LOADS, openCases, SLUICE } from './cases.mjs';

export const title = 'Semaphores';

/** Lines before the first one that is timed, and those that are timed together: a collection of garbage takes as long as one. */
const WARM_UP = 50;
const TOGETHER = 5;

/** CPU time of sluice, divided by that of p-limit. */
const TARGETS = { once: 0.8, line: 1 };

export async function run({ quick }) {
  const rounds = quick ? 20 : 100;
  console.log(`sluice: semaphores beside others, ${rounds} rounds`);
  const results = [];
  for (const load of Object.keys(LOADS)) results.push(...(await measureLoad(load, rounds)));
  return {
    sections: [costs(results)],
    skipped: [],
    losses: losses(results),
    targets: targets(results),
    figures: [],
    charts: [],
  };
}

async function measureLoad(load, rounds) {
  const cases = await openCases();
  for (const one of cases) one.batch = batchOf(one, load);
  const counts = [];
  for (const { batch } of cases) counts.push(load === 'line' ? await warmUp(batch) : await calibrate(batch));
  const samples = cases.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const at of shuffled(cases.length)) samples[at].push(await time(cases[at], counts[at], load));
  }
  const own = samples[cases.findIndex(({ name }) => name === SLUICE)];
  return cases.map(({ name }, at) => ({ name, load, samples: samples[at], times: ratio(own, samples[at]) }));
}

/** A line is of a fixed length: no more calls may wait than `maxWaiting` says. */
async function warmUp(batch) {
  for (let round = 0; round < WARM_UP; round++) await batch(IN_LINE);
  return IN_LINE;
}

async function time({ name, batch }, count, load) {
  const batches = load === 'line' ? TOGETHER : 1;
  const startedAt = processorMs();
  let done = 0;
  for (let each = 0; each < batches; each++) done += await batch(count);
  const ns = ((processorMs() - startedAt) * 1e6) / done;
  if (done !== batches * count) throw new Error(`${name}: ${done} of ${batches * count} jobs ran`);
  return ns;
}

function costs(results) {
  const headings = ['call', 'load', 'ns', 'sluice / this', 'spread'];
  const rows = results.map(({ name, load, samples, times }) => [
    name,
    LOADS[load],
    median(samples).toFixed(0),
    times.toFixed(2),
    `±${(100 * spread(samples)).toFixed(0)} %`,
  ]);
  return `### One thread\n\n${table(headings, rows)}`;
}

function targets(results) {
  return results
    .filter(({ name }) => name.startsWith('p-limit'))
    .map(({ name, load, times }) => ({
      what: `semaphore / ${name} (${LOADS[load]})`,
      value: times,
      atMost: TARGETS[load],
      unit: '×',
    }));
}

function losses(results) {
  return results
    .filter(({ times }) => times > NOTICEABLE)
    .map(
      ({ name, load, times }) =>
        `A semaphore costs ${times.toFixed(2)} × \`${name}\` (${LOADS[load]}), which limits one thread.`,
    );
}
