// Each server under load by itself, in a process of its own, once per round, in a new order each round.
import { Child } from '../child.mjs';
import { shuffled } from '../statistics.mjs';
import { LOAD, SERVERS } from './servers.mjs';

/** Under full load V8 has compiled a request's code for good after two to three seconds. */
const WARM_SECONDS = 3;
export const SAMPLES_PER_PROCESS = 3;

/** For each server samples of requests per second, p99 in ms and CPU time per request in µs. */
export async function measureServers(names, { rounds, seconds, redisPort }) {
  const load = new Child(new URL('load.mjs', import.meta.url));
  const results = names.map((name) => ({ name, perSecond: [], p99: [], cpu: [] }));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const index of shuffled(names.length)) {
        const samples = await measureServer(names[index], { load, seconds, redisPort });
        for (const sample of samples)
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
    return await samplesOf(child, load, { port, seconds, ...(SERVERS[name].load ?? LOAD) });
  } catch (error) {
    throw new Error(`${name}: ${error.message}`);
  } finally {
    child.close();
  }
}

/** Samples of a server's process under load, when it is warm. Any request but the first makes it tell its CPU time. */
export async function samplesOf(child, load, run) {
  await load.ask({ ...run, seconds: WARM_SECONDS });
  const samples = [];
  for (let i = 0; i < SAMPLES_PER_PROCESS; i++) {
    const before = await child.ask({});
    const { perSecond, p99, requests } = await load.ask(run);
    samples.push({ perSecond, p99, cpu: ((await child.ask({})) - before) / requests });
  }
  return samples;
}
