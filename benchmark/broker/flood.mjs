// How late a timer fires in a thread that is flooded with messages.
import { askOnce } from '../child.mjs';
import { SLUICE } from './contenders.mjs';

export const FLOODED = [SLUICE, 'MessagePort'];

/** For each way samples of the greatest lateness of a timer in ms, and of messages per second. */
export async function measureFlood({ rounds, ms }) {
  const url = new URL('flood-child.mjs', import.meta.url);
  const results = FLOODED.map((name) => ({ name, latest: [], perSecond: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const { name, latest, perSecond } of results) {
      const sample = await askOnce(url, { way: name, ms }, { timeoutMs: 60_000 });
      latest.push(sample.latest);
      perSecond.push(sample.perSecond);
    }
  }
  return results;
}

export function floodTarget(results) {
  const { latest } = results.find(({ name }) => name === SLUICE);
  const what = 'latest of the timers of 5 ms in a thread that is flooded, worst round';
  return { what, atMost: 50, unit: 'ms', value: Math.max(...latest) };
}
