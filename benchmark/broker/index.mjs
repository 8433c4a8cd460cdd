// The part `broker`: calls and broadcasts between threads, compared with other ways.
import { measureCalls } from './calls.mjs';
import { charts } from './charts.mjs';
import { fanOutTargets, measureFanOut } from './fan-out.mjs';
import { figures } from './figures.mjs';
import { floodTarget, measureFlood } from './flood.mjs';
import { idle, idleTargets, measureGrowth, measureIdle } from './idle.mjs';
import { losses } from './losses.mjs';
import { placements } from './placement.mjs';
import { callSections, fanOutSection, floodSection } from './report.mjs';
import { targets } from './targets.mjs';

export const title = 'Calls between threads';

const QUICK = {
  calls: { processes: 1, rounds: 3, ms: 80 },
  fanOut: { rounds: 3, ms: 150 },
  flood: { rounds: 2, ms: 600 },
};
const FULL = {
  calls: { processes: 3, rounds: 5, ms: 150 },
  fanOut: { rounds: 15, ms: 200 },
  flood: { rounds: 5, ms: 1500 },
};
const IDLE_MS = 2000;

const NOT_PINNED =
  '**Not measured: calls between threads**, as `taskset` (Linux, util-linux) is what keeps threads on cores, and where they run decides the result.';

export async function run({ quick }) {
  const plan = quick ? QUICK : FULL;
  const calls = await measureAllCalls(plan.calls);
  console.log(`sluice: one message to eight threads, ${plan.fanOut.rounds} rounds`);
  const fanOut = await measureFanOut(plan.fanOut);
  console.log(`sluice: timers in a flood of messages, ${plan.flood.rounds} rounds`);
  const flood = await measureFlood(plan.flood);
  console.log('sluice: idle threads, then a million calls');
  const idleResults = await measureIdle({ ms: IDLE_MS });
  const grown = await measureGrowth();
  return {
    sections: [
      ...callSections(calls),
      fanOutSection(fanOut),
      floodSection(flood),
      ...idle(idleResults, grown),
    ],
    skipped: calls.length === 0 ? [NOT_PINNED] : [],
    losses: losses(calls, fanOut, flood),
    targets: [
      ...targets(calls),
      ...fanOutTargets(fanOut),
      floodTarget(flood),
      ...idleTargets(idleResults, grown),
    ],
    figures: figures(calls),
    charts: charts(calls, fanOut),
  };
}

async function measureAllCalls(plan) {
  const results = [];
  for (const [placement, cores] of Object.entries(placements())) {
    const rounds = plan.processes * plan.rounds;
    console.log(`sluice: calls between threads, ${placement}, ${rounds} rounds`);
    results.push(...(await measureCalls(placement, cores, plan)));
  }
  return results;
}
