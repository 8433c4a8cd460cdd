// The part `js`: the cost of one call from JavaScript, compared with other packages in the same run.
import { allocation, measureAllocation } from './allocation.mjs';
import { LOADS, names, openCase } from './cases.mjs';
import { costChart, guardChart, threadCharts } from './charts.mjs';
import { figures } from './figures.mjs';
import { losses } from './losses.mjs';
import { contention, costs } from './report.mjs';
import { measure } from './rounds.mjs';
import { targets } from './targets.mjs';
import { COUNTS, measureThreads } from './threads.mjs';

export const title = 'Calls from JavaScript';

export async function run({ quick }) {
  const rounds = quick ? 20 : 100;
  console.log(`sluice: calls in one thread, ${rounds} rounds`);
  const { cases, skipped } = await openCases();
  const samples = await measure(cases, rounds);
  const results = cases.map(({ name, load }, index) => ({ name, load, samples: samples[index] }));
  console.log('sluice: bytes that calls allocate');
  const bytes = await measureAllocation(new Set(cases.map(({ name }) => name)));
  console.log(`sluice: calls in ${COUNTS.join(', ')} threads`);
  const threaded = await measureThreads(quick ? 5 : 30);
  return {
    sections: [...costs(results), contention(threaded), allocation(bytes)],
    skipped,
    losses: losses(results, threaded),
    targets: targets(results),
    figures: figures(results, threaded),
    charts: [costChart(results), guardChart(results), ...threadCharts(threaded)],
  };
}

async function openCases() {
  const opened = { cases: [], skipped: [] };
  for (const name of names) {
    try {
      for (const load of LOADS) opened.cases.push(await openCase(name, load));
    } catch (error) {
      const sentence = `**Not measured: ${name}**, which cannot be loaded here (${error.code ?? error.name}).`;
      console.error(`sluice: ${sentence} ${error.message}`);
      opened.skipped.push(sentence);
    }
  }
  return opened;
}
