// The part `flow`: what waiting for quota costs, beside p-throttle and bottleneck.
import { askOnce } from '../child.mjs';
import { median, NOTICEABLE, ratio, shuffled, spread } from '../statistics.mjs';
import { table } from '../table.mjs';
import { AT_ONCE, openAtOnce } from './at-once.mjs';

export const title = 'Waiting for quota';

const SPACED = new URL('spaced-child.mjs', import.meta.url);
const LIMITERS = ['sluice', 'p-throttle', 'bottleneck'];
const RATES = [1000, 5000];
const TARGETS = { atOnce: 1.3, reached: 0.99, cpu: 0.5 };

export async function run({ quick }) {
  console.log('sluice: calls that are charged at once');
  const atOnce = await measureAtOnce(quick ? 20 : 60);
  console.log('sluice: calls that wait, in processes of their own');
  const spaced = await measureSpaced(quick ? 1 : 3, quick ? 1_000 : 3_000);
  return {
    sections: [atOnceSection(atOnce), spacedSection(spaced)],
    skipped: spaced.filter(({ error }) => error).map(({ limiter, error }) => `${limiter}: ${error}`),
    losses: losses(atOnce),
    targets: targets(atOnce, spaced),
    figures: [],
    charts: [],
  };
}

/** Nanoseconds of a call, by case: all cases in each round, in random order. */
async function measureAtOnce(rounds) {
  const cases = openAtOnce();
  const samples = cases.map(() => []);
  for (const { batch } of cases) await batch();
  for (let round = 0; round < rounds; round++) {
    for (const at of shuffled(cases.length)) samples[at].push(await cases[at].batch());
  }
  return cases.map(({ name }, at) => ({ name, samples: samples[at] }));
}

async function measureSpaced(rounds, durationMs) {
  const results = [];
  for (const rate of RATES) {
    for (const limiter of LIMITERS) {
      const runs = [];
      let error;
      for (let round = 0; round < rounds && error === undefined; round++) {
        try {
          runs.push(await askOnce(SPACED, { limiter, rate, durationMs }, { timeoutMs: 60_000 }));
        } catch (failed) {
          error = failed.message;
        }
      }
      results.push({ limiter, rate, runs, error });
    }
  }
  return results;
}

function atOnceSection(results) {
  const own = results.find(({ name }) => name === AT_ONCE.consumeAsync).samples;
  const rows = results.map(({ name, samples }) => [
    name,
    median(samples).toFixed(0),
    ratio(samples, own).toFixed(2),
    `±${(100 * spread(samples)).toFixed(0)} %`,
  ]);
  return `### Charged at once, one thread\n\n${table(['call', 'ns', '/ consumeAsync', 'spread'], rows)}`;
}

function spacedSection(results) {
  const measured = results.filter(({ runs }) => runs.length > 0);
  const rows = measured.map(({ limiter, rate, runs }) => [
    `${limiter}, ${rate} a second`,
    `${median(runs.map((run) => run.perSecond)).toFixed(0)}`,
    `${median(runs.map((run) => run.cpuUs)).toFixed(1)}`,
  ]);
  const headings = ['limiter and rate', 'reached a second', 'CPU per call, µs'];
  return `### Calls that wait, evenly spaced\n\n${table(headings, rows)}`;
}

function losses(atOnce) {
  const own = atOnce.find(({ name }) => name === AT_ONCE.consumeAsync).samples;
  const times = ratio(atOnce.find(({ name }) => name === AT_ONCE.acquire).samples, own);
  return times > NOTICEABLE ? [`\`acquire\` at once costs ${times.toFixed(2)} × \`consumeAsync\`.`] : [];
}

function targets(atOnce, spaced) {
  const samplesOf = (wanted) => atOnce.find(({ name }) => name === wanted).samples;
  const list = [
    {
      what: 'acquire at once / consumeAsync',
      value: ratio(samplesOf(AT_ONCE.acquire), samplesOf(AT_ONCE.consumeAsync)),
      atMost: TARGETS.atOnce,
      unit: '×',
    },
  ];
  for (const rate of RATES) {
    const runsOf = (wanted) => spaced.find((one) => one.limiter === wanted && one.rate === rate).runs;
    const [own, peer] = [runsOf('sluice'), runsOf('p-throttle')];
    const cpu = (runs) => median(runs.map((run) => run.cpuUs));
    list.push({
      what: `acquire, reached of ${rate} a second`,
      value: own.length > 0 ? median(own.map((run) => run.perSecond)) / rate : undefined,
      atLeast: TARGETS.reached,
      unit: '×',
    });
    list.push({
      what: `CPU per call that waits / p-throttle, ${rate} a second`,
      value: own.length > 0 && peer.length > 0 ? cpu(own) / cpu(peer) : undefined,
      atMost: TARGETS.cpu,
      unit: '×',
    });
  }
  return list;
}
