// Where we lose, by rules that are the same for every run.
import { kindOf } from './cases.mjs';
import { ratio } from './statistics.mjs';

/** Less than this much is within what two runs on one machine differ by. */
const NOTICEABLE = 1.05;

/** For each call of others, the calls of ours with the same task that cost more under the same load. */
export function lostToOthers(results) {
  return againstOthers(results, (result) => result.samples).map(
    ({ theirs, losing }) => `\`${theirs.name}\` (${theirs.load}) costs less than ${list(losing)}.`,
  );
}

/** As above, while all threads call. What others do then, each thread does for itself. */
export function lostToPrivateState(threaded) {
  return againstOthers(threaded, (result) => result.together).map(
    ({ theirs, losing }) =>
      `With all threads calling, \`${theirs.name}\` (${theirs.load}), which shares nothing, costs less than ${list(losing)}.`,
  );
}

/** Our calls that a thread makes more slowly when others make them too. */
export function lostToContention(threaded, threads) {
  const losing = threaded
    .filter(({ name }) => kindOf(name).by === 'sluice')
    .map(({ name, load, alone, together }) => ({ name, load, times: ratio(together, alone) }))
    .filter(({ times }) => times > NOTICEABLE);
  return ['uniform', 'hot']
    .map((load) => ({ load, slower: losing.filter((one) => one.load === load) }))
    .filter(({ slower }) => slower.length > 0)
    .map(({ load, slower }) => `In each of ${threads} threads (${load}) more than alone: ${list(slower)}.`);
}

function againstOthers(results, samplesOf) {
  const isRival = (ours, theirs) =>
    kindOf(ours.name).by === 'sluice' &&
    kindOf(ours.name).task === kindOf(theirs.name).task &&
    ours.load === theirs.load;
  return results
    .filter(({ name }) => kindOf(name).by === 'others')
    .map((theirs) => ({
      theirs,
      losing: results
        .filter((ours) => isRival(ours, theirs))
        .map((ours) => ({ name: ours.name, times: ratio(samplesOf(ours), samplesOf(theirs)) }))
        .filter(({ times }) => times > NOTICEABLE),
    }))
    .filter(({ losing }) => losing.length > 0);
}

function list(losing) {
  return losing.map(({ name, times }) => `${name.replace('sluice ', '')} (${times.toFixed(2)} ×)`).join(', ');
}
