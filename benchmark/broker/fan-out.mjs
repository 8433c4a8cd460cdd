// One message to eight threads, each way in turn. The nine threads are not pinned.
import { Child } from '../child.mjs';
import { ratio, shuffled } from '../statistics.mjs';
import { SLUICE } from './contenders.mjs';
import { FAN_OUTS, RECEIVERS } from './fan-outs.mjs';

/** For each way samples of messages received per second by all threads together, and CPU µs per message. */
export async function measureFanOut({ rounds, ms }) {
  const url = new URL('fan-out-child.mjs', import.meta.url);
  const results = Object.keys(FAN_OUTS).map((name) => ({ name, perSecond: [], cpu: [] }));
  const children = results.map(() => new Child(url));
  try {
    for (const [at, child] of children.entries()) await child.ask({ open: results[at].name });
    for (let round = 0; round < rounds; round++) {
      for (const at of shuffled(children.length)) {
        const { perSecond, cpu } = await children[at].ask({ ms }, 60_000);
        results[at].perSecond.push(perSecond);
        results[at].cpu.push(cpu);
      }
    }
  } finally {
    for (const child of children) child.close();
  }
  return results;
}

export function fanOutTargets(results) {
  const of = (name) => results.find((result) => result.name === name).perSecond;
  return Object.keys(FAN_OUTS)
    .filter((name) => name !== SLUICE)
    .map((name) => ({
      what: `a 50-byte object to ${RECEIVERS} threads, sluice / ${name}`,
      atLeast: 2,
      unit: '×',
      value: ratio(of(SLUICE), of(name)),
    }));
}
