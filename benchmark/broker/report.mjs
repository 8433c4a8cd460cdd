// The results of calls and broadcasts, as Markdown.
import { median, ratio, spread } from '../statistics.mjs';
import { table } from '../table.mjs';
import { CONTENDERS, RPC, SLUICE } from './contenders.mjs';
import { RECEIVERS } from './fan-outs.mjs';
import { BUFFERS, OBJECTS, STRINGS } from './loads.mjs';
import { find, HUNDRED, measuredPlacements, ONE_AT_A_TIME } from './results.mjs';

export function callSections(results) {
  return measuredPlacements(results).flatMap((placement) => [
    objects(results, placement),
    larger(results, placement),
  ]);
}

function objects(results, placement) {
  const headings = [
    'thousand calls/s',
    ...OBJECTS.map(({ inFlight }) => `${inFlight} in flight`),
    'spread at 100',
    '× Map + promise at 100',
    'one call, µs p50',
    'p99',
    'CPU µs at 100',
  ];
  const rows = Object.keys(CONTENDERS).map((name) => {
    const one = find(results, placement, name, ONE_AT_A_TIME);
    const hundred = find(results, placement, name, HUNDRED);
    const rpc = find(results, placement, RPC, HUNDRED);
    return [
      name,
      ...OBJECTS.map((load) => thousands(find(results, placement, name, load))),
      `±${(100 * spread(hundred.perSecond)).toFixed(0)} %`,
      ratio(hundred.perSecond, rpc.perSecond).toFixed(2),
      median(one.p50).toFixed(1),
      median(one.p99).toFixed(0),
      median(hundred.cpu).toFixed(1),
    ];
  });
  return `### A call and its answer, 50 bytes each, ${placement}\n\n${table(headings, rows)}`;
}

function larger(results, placement) {
  const loads = [...STRINGS, ...BUFFERS];
  const headings = [
    'thousand calls/s',
    ...loads.map(({ payload, inFlight }) => `${payload}, ${inFlight} in flight`),
  ];
  const rows = Object.keys(CONTENDERS)
    .filter((name) => loads.every((load) => find(results, placement, name, load) !== undefined))
    .map((name) => [name, ...loads.map((load) => thousands(find(results, placement, name, load)))]);
  return `### Larger calls and answers, ${placement}\n\n${table(headings, rows)}`;
}

export function fanOutSection(results) {
  const sluice = results.find(({ name }) => name === SLUICE);
  const rows = results.map(({ name, perSecond, cpu }) => [
    name,
    (median(perSecond) / 1000).toFixed(0),
    ratio(sluice.perSecond, perSecond).toFixed(2),
    median(cpu).toFixed(2),
    `±${(100 * spread(perSecond)).toFixed(0)} %`,
  ]);
  const headings = ['way', 'thousand received/s', 'sluice ×', 'CPU µs each', 'spread'];
  return `### One message of 50 bytes to ${RECEIVERS} threads\n\n${table(headings, rows)}`;
}

export function floodSection(results) {
  const rows = results.map(({ name, latest, perSecond }) => [
    name,
    median(latest).toFixed(1),
    Math.max(...latest).toFixed(1),
    (median(perSecond) / 1000).toFixed(0),
  ]);
  const headings = ['way', 'latest timer, ms, median round', 'worst round', 'thousand messages/s'];
  const how =
    'A timer of 5 ms in a thread that gets more messages than it can process; each message takes 5 µs.';
  return `### Timers in a flood\n\n${how}\n\n${table(headings, rows)}`;
}

function thousands({ perSecond }) {
  return (median(perSecond) / 1000).toFixed(1);
}
