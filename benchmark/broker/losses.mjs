// Where sluice loses in calls and broadcasts, by the same rules in every run.
import { NOTICEABLE, ratio } from '../statistics.mjs';
import { SLUICE } from './contenders.mjs';
import { find } from './results.mjs';

export function losses(calls, fanOut, flood) {
  return [...lostCalls(calls), ...lostFanOut(fanOut), ...lostTimers(flood)];
}

/** Other ways that make noticeably more calls under the same load and placement. */
function lostCalls(results) {
  return results
    .filter(({ name }) => name !== SLUICE)
    .map((rival) => ({ ...rival, sluice: find(results, rival.placement, SLUICE, rival) }))
    .map((rival) => ({ ...rival, times: ratio(rival.perSecond, rival.sluice.perSecond) }))
    .filter(({ times }) => times > NOTICEABLE)
    .map(
      ({ name, payload, inFlight, placement, times }) =>
        `\`${name}\` answers ${times.toFixed(2)} × the calls of sluice (${payload}, ${inFlight} in flight, ${placement}).`,
    );
}

function lostFanOut(results) {
  const sluice = results.find(({ name }) => name === SLUICE);
  return results
    .map(({ name, perSecond }) => ({ name, times: ratio(perSecond, sluice.perSecond) }))
    .filter(({ times }) => times > NOTICEABLE)
    .map(
      ({ name, times }) => `\`${name}\` delivers ${times.toFixed(2)} × as many messages to eight threads.`,
    );
}

function lostTimers(results) {
  const sluice = results.find(({ name }) => name === SLUICE);
  return results
    .map(({ name, perSecond }) => ({ name, times: ratio(perSecond, sluice.perSecond) }))
    .filter(({ times }) => times > NOTICEABLE)
    .map(({ name, times }) => `In a flood, \`${name}\` processes ${times.toFixed(2)} × as many messages.`);
}
