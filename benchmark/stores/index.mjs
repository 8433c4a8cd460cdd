// The part `stores`: stores for other limiters, beside the limiters' own, and whether their counts are shared.
import { median, NOTICEABLE, ratio, spread } from '../statistics.mjs';
import { table } from '../table.mjs';
import { COUNTER, openPairs } from './cases.mjs';
import { LOADS, measure } from './measure.mjs';
import { countTotals, totalsSection } from './totals.mjs';

export const title = 'Stores for other limiters';

export async function run({ quick }) {
  const rounds = quick ? 20 : 100;
  console.log(`sluice: stores beside the limiters' own, ${rounds} rounds`);
  const results = await measurePairs(rounds);
  console.log('sluice: one limit in four threads');
  const totals = await countTotals();
  return {
    sections: [costs(results), totalsSection(totals)],
    skipped: [],
    losses: losses(results),
    targets: [...targets(results), ...totals.map(totalTarget)],
    figures: [],
    charts: [],
  };
}

async function measurePairs(rounds) {
  const pairs = await openPairs();
  const samples = await measure(
    pairs.flatMap(({ own, shared }) => [own, shared]),
    rounds,
  );
  return pairs.map(({ name, load, atMost }, at) => {
    const [own, shared] = [samples[2 * at], samples[2 * at + 1]];
    return { name, load, atMost, own, shared, times: ratio(shared, own) };
  });
}

function costs(results) {
  const headings = ['call', 'load', 'own, ns', 'sluice, ns', 'sluice / own', 'spread'];
  const rows = results.map(({ name, load, own, shared, times }) => [
    name,
    LOADS[load],
    median(own).toFixed(0),
    median(shared).toFixed(0),
    times.toFixed(2),
    `±${(100 * Math.max(spread(own), spread(shared))).toFixed(0)} %`,
  ]);
  return `### One thread\n\n${table(headings, rows)}`;
}

function targets(results) {
  return results.map(({ name, load, atMost, times }) => ({
    what: name === COUNTER ? `${name} (${LOADS[load]})` : `store of sluice / own: ${name} (${LOADS[load]})`,
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
        `\`${name}\` (${LOADS[load]}): sluice costs ${times.toFixed(2)} × what it is compared with.`,
    );
}

function totalTarget({ name, limit, shared }) {
  return {
    what: `hits of four threads admitted by a limit of ${limit}, ${name}`,
    value: shared / limit,
    atMost: 1,
    unit: '×',
  };
}
