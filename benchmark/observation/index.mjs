// The part `observation`: what `tryConsume` costs in a process that is observed, beside one that never was. Observation does
// not end, so each kind has a process of its own. Two processes of one kind differ by some percent, hence several of each.
import { Child } from '../child.mjs';
import { median, NOTICEABLE, ratio, shuffled, spread } from '../statistics.mjs';
import { table } from '../table.mjs';

export const title = 'Observation';

const CHILD = new URL('child.mjs', import.meta.url);
const LOADS = { hot: 'one hot key', uniform: '10 000 keys' };

/** A second process of the first kind shows by how much the comparison itself varies. */
const KINDS = [
  { name: 'never observed', kind: 'off' },
  { name: 'never observed, another process', kind: 'off', atMost: 1.02 },
  { name: 'history and rankings on, no viewer', kind: 'on', atMost: 1.05 },
  { name: 'with histograms', kind: 'histograms' },
];

const QUICK = { processes: 3, rounds: 10 };
const FULL = { processes: 8, rounds: 25 };

export async function run({ quick }) {
  const { processes, rounds } = quick ? QUICK : FULL;
  console.log(`sluice: tryConsume observed, ${processes} processes of each kind, ${rounds} rounds`);
  const samples = KINDS.map(() => Object.fromEntries(Object.keys(LOADS).map((load) => [load, []])));
  for (let process = 0; process < processes; process++) await measure(rounds, samples);
  const results = resultsOf(samples);
  return {
    sections: [section(results)],
    skipped: [],
    losses: losses(results),
    targets: targets(results),
    charts: [],
  };
}

/** Adds the rounds of one process of each kind to the samples. */
async function measure(rounds, samples) {
  const children = KINDS.map(() => new Child(CHILD));
  try {
    const loads = Object.keys(LOADS);
    for (const [at, child] of children.entries()) await child.ask({ kind: KINDS[at].kind, loads });
    for (let round = 0; round < rounds; round++) {
      for (const load of loads) {
        for (const at of shuffled(KINDS.length)) samples[at][load].push(await children[at].ask({ load }));
      }
    }
  } finally {
    for (const child of children) child.close();
  }
}

function resultsOf(samples) {
  return Object.entries(LOADS).flatMap(([load, words]) =>
    KINDS.map(({ name, atMost }, at) => {
      const ns = samples[at][load];
      return { name, load: words, atMost, ns, times: ratio(ns, samples[0][load]) };
    }),
  );
}

function section(results) {
  const rows = results.map(({ name, load, ns, times }) => [
    name,
    load,
    median(ns).toFixed(1),
    times.toFixed(3),
    `±${(100 * spread(ns)).toFixed(0)} %`,
  ]);
  const heads = ['tryConsume', 'load', 'ns', '/ never observed', 'spread'];
  return `### tryConsume while the process is observed\n\n${table(heads, rows)}`;
}

function targets(results) {
  return results
    .filter(({ atMost }) => atMost !== undefined)
    .map(({ name, load, atMost, times }) => ({
      what: `tryConsume, ${name} / never observed (${load})`,
      value: times,
      atMost,
      unit: '×',
    }));
}

function losses(results) {
  return results
    .filter(({ times }) => times > NOTICEABLE)
    .map(
      ({ name, load, times }) =>
        `\`tryConsume\`, ${name} (${load}): ${times.toFixed(2)} × a process never observed.`,
    );
}
