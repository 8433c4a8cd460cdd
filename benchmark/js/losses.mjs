// Where calls of sluice lose, by the same rules in every run.
import { cores } from '../machine.mjs';
import { NOTICEABLE, ratio } from '../statistics.mjs';
import { kindOf, LOADS } from './cases.mjs';
import { COUNTS } from './threads.mjs';

export function losses(results, threaded) {
  const real = COUNTS.filter((count) => count > 1 && count <= cores);
  return [
    ...lostToOthers(results),
    ...real.flatMap((count) => lostToContention(threaded, count)),
    ...real.flatMap((count) => lostToPrivateState(threaded, count)),
  ];
}

/** For each call of another package, the calls of sluice with the same task that cost more under the same load. */
function lostToOthers(results) {
  return againstOthers(results, (result) => result.samples).map(
    ({ rival, losing }) => `\`${rival.name}\` (${rival.load}) costs less than ${list(losing)}.`,
  );
}

/** As above, with several threads calling. Other packages share nothing between threads. */
function lostToPrivateState(threaded, count) {
  return againstOthers(threaded, (result) => result.byCount[COUNTS.indexOf(count)]).map(
    ({ rival, losing }) =>
      `With ${count} threads calling, \`${rival.name}\` (${rival.load}), which shares nothing, costs less than ${list(losing)}.`,
  );
}

/** Calls of sluice that are slower in a thread while other threads make them too. */
function lostToContention(threaded, count) {
  const losing = threaded
    .filter(({ name }) => kindOf(name).by === 'sluice')
    .map(({ name, load, byCount }) => ({
      name,
      load,
      times: ratio(byCount[COUNTS.indexOf(count)], byCount[0]),
    }))
    .filter(({ times }) => times > NOTICEABLE);
  return LOADS.map((load) => ({ load, slower: losing.filter((one) => one.load === load) }))
    .filter(({ slower }) => slower.length > 0)
    .map(
      ({ load, slower }) =>
        `In each of ${count} threads (${load}), these calls cost more than alone: ${list(slower)}.`,
    );
}

function againstOthers(results, samplesOf) {
  const isRival = (sluice, rival) =>
    kindOf(sluice.name).by === 'sluice' &&
    kindOf(sluice.name).task === kindOf(rival.name).task &&
    sluice.load === rival.load;
  return results
    .filter(({ name }) => kindOf(name).by === 'others')
    .map((rival) => ({
      rival,
      losing: results
        .filter((sluice) => isRival(sluice, rival))
        .map((sluice) => ({ name: sluice.name, times: ratio(samplesOf(sluice), samplesOf(rival)) }))
        .filter(({ times }) => times > NOTICEABLE),
    }))
    .filter(({ losing }) => losing.length > 0);
}

function list(losing) {
  return losing.map(({ name, times }) => `${name.replace('sluice ', '')} (${times.toFixed(2)} ×)`).join(', ');
}
