/*
 * What a call costs, beside what others cost in the same run.
 *
 *   npm run bench                        about a minute
 *   npm run bench -- --write             and puts the results into docs/benchmarks.md
 *     --rounds 20                        fewer than 100: sooner, and noisier
 *     --threads 4                        instead of two
 */
import { parseArgs } from 'node:util';
import { installPeers } from './setup.mjs';

const { values: options } = parseArgs({
  options: {
    write: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '100' },
    threads: { type: 'string', default: '2' },
  },
});
const [rounds, threads] = [Number(options.rounds), Number(options.threads)];
if (!(Number.isInteger(rounds) && rounds > 0 && Number.isInteger(threads) && threads > 1)) {
  console.error('sluice: --rounds takes an integer from 1, --threads one from 2.');
  process.exit(1);
}

installPeers();
// After the set-up: these load what it installs.
const { names, openCase } = await import('./cases.mjs');
const { describeMachine, load } = await import('./machine.mjs');
const { measure } = await import('./rounds.mjs');
const { contention, costs, losses } = await import('./report.mjs');
const { measureThreads } = await import('./threads.mjs');

const machine = describeMachine();
const loadBefore = load();
for (const [what, value] of Object.entries(machine)) console.log(`${what.padEnd(8)} ${value}`);

console.log(`\nsluice: one thread, ${rounds} rounds`);
const { cases, skipped } = await openCases();
const samples = await measure(cases, rounds);
const results = cases.map(({ name, load }, index) => ({ name, load, samples: samples[index] }));
console.log(`sluice: ${threads} threads`);
const threaded = await measureThreads(threads, Math.ceil(rounds / 3));

const noise = `load average ${loadBefore.toFixed(1)} before, ${load().toFixed(1)} after; the run itself adds up to ${threads}`;
const sections = [...costs(results), contention(threaded, threads)];
const lost = losses(results, threaded, threads);
console.log(`\n${[...sections, ...skipped, lost, noise].join('\n\n')}`);
if (options.write) {
  const { writePage } = await import('./page.mjs');
  writePage({ machine, noise, sections, skipped, losses: lost });
  console.log('\nsluice: wrote docs/benchmarks.md');
}
// What peers keep timers for must not keep us.
process.exit();

async function openCases() {
  const opened = { cases: [], skipped: [] };
  for (const name of names) {
    try {
      for (const load of ['uniform', 'hot']) opened.cases.push(await openCase(name, load));
    } catch (error) {
      const sentence = `**Not measured: ${name}**, which cannot be loaded here (${error.code ?? error.name}).`;
      console.error(`sluice: ${sentence} ${error.message}`);
      opened.skipped.push(sentence);
    }
  }
  return opened;
}
