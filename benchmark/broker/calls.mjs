// Calls between two threads: every contender under every load once per round, in a new order each round.
import { Child } from '../child.mjs';
import { shuffled } from '../statistics.mjs';
import { CONTENDERS } from './contenders.mjs';
import { onCores } from './placement.mjs';

/**
 * Samples of calls per second and CPU µs for each load of each contender, and of p50 and p99 in µs where one call is in
 * flight. Several processes of each are measured in turn, as the speed of a process depends on its memory layout.
 */
export async function measureCalls(placement, cores, { processes, rounds, ms }) {
  const results = Object.entries(CONTENDERS).flatMap(([name, { loads }]) =>
    loads.map((load) => ({ placement, name, ...load, samples: [] })),
  );
  for (let process = 0; process < processes; process++) {
    const children = await openChildren(cores);
    try {
      for (let round = 0; round < rounds; round++) {
        for (const at of shuffled(results.length)) {
          const result = results[at];
          result.samples.push(await sample(children.get(result.name), result, ms));
        }
      }
    } finally {
      for (const child of children.values()) child.close();
    }
  }
  return results.map(({ samples, ...result }) => ({ ...result, ...columns(samples) }));
}

/** All children stay open, asleep when not measured: a new process per round would be measured cold. */
async function openChildren({ caller, callee }) {
  const url = new URL('echo-child.mjs', import.meta.url);
  const children = new Map();
  for (const name of Object.keys(CONTENDERS)) {
    const child = new Child(url, [], onCores(...new Set([caller, callee])));
    await child.ask({ open: { name, caller, callee } });
    children.set(name, child);
  }
  return children;
}

function sample(child, { name, payload, inFlight }, ms) {
  return child.ask({ payload, inFlight, ms }, 60_000).catch((error) => {
    throw new Error(`${name}, ${payload}, ${inFlight} in flight: ${error.message}`);
  });
}

/** `{ a: [1, 2], b: [3, 4] }` of `[{ a: 1, b: 3 }, { a: 2, b: 4 }]`. */
function columns(samples) {
  return Object.fromEntries(
    Object.keys(samples[0]).map((column) => [column, samples.map((one) => one[column])]),
  );
}
