// Each server under load by itself, in a process of its own, once per round, in a new order each round.
import { Child } from '../child.mjs';
import { shuffled } from '../statistics.mjs';
import { LOAD, SERVERS } from './servers.mjs';

/**
 * Loads of a second that come first. Under full load V8 has compiled a request's code for good after two to three seconds;
 * the end of the first connections makes it compile some of that anew.
 */
const WARM_LOADS = 3;

/** Of so many samples of a process the best one counts: what else the machine does only slows a server. */
export const SAMPLES_PER_PROCESS = 3;

/** For each server and round requests per second, p99 in ms and CPU time per request in µs. */
export async function measureServers(names, { rounds, seconds, redisPort }) {
  const load = new Child(new URL('load.mjs', import.meta.url));
  const results = names.map((name) => ({ name, perSecond: [], p99: [], cpu: [] }));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const index of shuffled(names.length)) {
        const sample = await measureServer(names[index], { load, seconds, redisPort });
        for (const [what, value] of Object.entries(sample)) results[index][what].push(value);
      }
    }
  } finally {
    load.close();
  }
  return results;
}

async function measureServer(name, { load, seconds, redisPort }) {
  const child = new Child(new URL('server.mjs', import.meta.url));
  try {
    const port = await child.ask({ open: name, redisPort });
    return await bestSample(child, load, { port, seconds, ...(SERVERS[name].load ?? LOAD) });
  } catch (error) {
    throw new Error(`${name}: ${error.message}`);
  } finally {
    child.close();
  }
}

/** What a server's process does under load once it is warm. Any request but the first makes it tell its CPU time. */
export async function bestSample(child, load, run) {
  for (let i = 0; i < WARM_LOADS; i++) await load.ask({ ...run, seconds: 1 });
  const samples = [];
  for (let i = 0; i < SAMPLES_PER_PROCESS; i++) {
    const before = await child.ask({});
    const { perSecond, p99, requests } = await load.ask(run);
    samples.push({ perSecond, p99, cpu: ((await child.ask({})) - before) / requests });
  }
  return samples.sort((a, b) => a.cpu - b.cpu)[0];
}
