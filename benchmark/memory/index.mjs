// The part `memory`: memory per client, and the effect of a flood of clients.
import { NOTICEABLE } from '../statistics.mjs';
import { churn, churnTarget, measureChurn } from './churn.mjs';
import { CONTENDERS } from './contenders.mjs';
import { flood, floodChart, floodFigure, floodLosses, floodTarget, measureFlood } from './flood.mjs';
import { bytesOf, growth, growthFigure, measureGrowth, notMeasured } from './growth.mjs';

export const title = 'Memory and floods';

const SLUICE = 'sluice';
const QUICK = {
  sizes: [1_000_000],
  mostMs: [15_000],
  flood: { keys: 5_000_000, mostMs: 20_000 },
  churn: { maxKeys: 100_000, rounds: 10 },
};
const FULL = {
  sizes: [1_000_000, 10_000_000],
  mostMs: [20_000, 180_000],
  flood: { keys: 50_000_000, mostMs: 60_000 },
  churn: { maxKeys: 1_000_000, rounds: 4 },
};

export async function run({ quick }) {
  const plan = quick ? QUICK : FULL;
  console.log(`sluice: memory of ${plan.sizes.map((size) => `${size / 1e6} million`).join(' and ')} clients`);
  const grown = await measureGrowth(plan.sizes, plan.mostMs);
  console.log('sluice: a table full of live clients');
  const churned = await measureChurn(plan.churn);
  console.log(`sluice: a flood of ${plan.flood.keys / 1e6} million keys`);
  const flooded = await measureFlood(plan.flood);
  return {
    sections: [growth(grown, plan.sizes), churn(churned), flood(flooded)],
    skipped: notMeasured(grown.results),
    losses: [...growthLosses(grown.results), ...floodLosses(flooded)],
    targets: [...growthTargets(grown.results), churnTarget(churned), floodTarget(flooded)],
    figures: [growthFigure(grown.results, plan.sizes[0]), floodFigure(flooded)],
    charts: [growthChart(grown.results, plan.sizes), floodChart(flooded)],
  };
}

/** Limiters that need less memory for as many clients. */
function growthLosses(results) {
  return results
    .map((rival) => ({ ...rival, times: bytesOf(results, SLUICE, rival.clients) / rival.bytes }))
    .filter(({ times }) => times > NOTICEABLE)
    .map(
      ({ name, clients, times }) =>
        `For ${clients / 1e6} million clients we need ${times.toFixed(2)} × the memory of \`${name}\`.`,
    );
}

function growthTargets(results) {
  return results
    .filter(({ name }) => name === SLUICE)
    .map(({ clients, bytes }) => ({
      what: `memory of a client, \`maxKeys\` and clients ${clients / 1e6} million`,
      atMost: 24,
      unit: 'bytes',
      value: bytes,
    }));
}

function growthChart(results, sizes) {
  return {
    file: 'memory',
    kind: 'bars',
    title: 'Memory per client',
    unit: 'bytes',
    groups: sizes.map((clients) => `${clients / 1e6} million clients`),
    series: Object.keys(CONTENDERS).map((name) => ({
      name,
      highlighted: name === SLUICE,
      values: sizes.map((clients) => bytesOf(results, name, clients) ?? null),
    })),
  };
}
