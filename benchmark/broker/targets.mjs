// Targets of calls, as ratios within a round: the same rows in every run.
import { ratio } from '../statistics.mjs';
import { BARE, COMLINK, PISCINA, RPC, SLUICE } from './contenders.mjs';
import { BUFFERS, OBJECTS, STRINGS } from './loads.mjs';
import { ONE_CORE, TWO_CORES } from './placement.mjs';
import { find, HUNDRED, ONE_AT_A_TIME } from './results.mjs';

const TEN = OBJECTS.find(({ inFlight }) => inFlight === 10);
const BOTH = [TWO_CORES, ONE_CORE];

/** Ratios of calls per second, unless `column` names another one. */
const TARGETS = [
  { load: HUNDRED, against: BARE, atLeast: 1.5 },
  { load: HUNDRED, against: RPC, atLeast: 2 },
  { load: TEN, against: RPC, atLeast: 2 },
  { load: HUNDRED, against: COMLINK, atLeast: 5 },
  { load: HUNDRED, against: PISCINA, atLeast: 5 },
  ...STRINGS.map((load) => ({ load, against: RPC, atLeast: 2 })),
  ...BUFFERS.map((load) => ({ load, against: RPC, atLeast: 1 })),
  { load: ONE_AT_A_TIME, column: 'p50', against: BARE, atMost: 0.2, on: [TWO_CORES] },
  { load: ONE_AT_A_TIME, column: 'p50', against: BARE, atMost: 1.1, on: [ONE_CORE] },
];

const WHAT = { perSecond: 'calls/s', p50: 'µs of one call (p50)' };

export function targets(results) {
  return TARGETS.flatMap(({ on = BOTH, ...target }) =>
    on.map((placement) => measured(target, placement, results)),
  );
}

function measured({ load, against, column = 'perSecond', ...bound }, placement, results) {
  const [sluice, rival] = [SLUICE, against].map((name) => find(results, placement, name, load)?.[column]);
  const { payload, inFlight } = load;
  const what = `${WHAT[column]}, ${payload}, ${inFlight} in flight, ${placement}: sluice / ${against}`;
  return { what, ...bound, unit: '×', value: sluice && rival && ratio(sluice, rival) };
}
