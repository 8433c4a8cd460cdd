// Data of the plots of calls and broadcasts.
import { median } from '../statistics.mjs';
import { CONTENDERS, SLUICE } from './contenders.mjs';
import { RECEIVERS } from './fan-outs.mjs';
import { OBJECTS } from './loads.mjs';
import { find, measuredPlacements } from './results.mjs';

export function charts(calls, fanOut) {
  return [...measuredPlacements(calls).map((placement) => callChart(calls, placement)), fanOutChart(fanOut)];
}

function callChart(results, placement) {
  return {
    file: `broker-${placement.replace(' ', '-')}`,
    kind: 'bars',
    title: `Calls between two threads on ${placement}`,
    unit: 'thousand calls per second; logarithmic',
    log: true,
    groups: OBJECTS.map(({ inFlight }) => `${inFlight} in flight`),
    series: Object.keys(CONTENDERS).map((name) => ({
      name,
      highlighted: name === SLUICE,
      values: OBJECTS.map((load) => median(find(results, placement, name, load).perSecond) / 1000),
    })),
  };
}

function fanOutChart(results) {
  return {
    file: 'broker-fan-out',
    kind: 'bars',
    title: `One message to ${RECEIVERS} threads`,
    unit: 'thousand received per second, together',
    groups: ['50-byte object'],
    series: results.map(({ name, perSecond }) => ({
      name,
      highlighted: name === SLUICE,
      values: [median(perSecond) / 1000],
    })),
  };
}
