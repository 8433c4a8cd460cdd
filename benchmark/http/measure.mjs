// Each server under load once per round, in a new order each round.
import { Child } from '../child.mjs';
import { shuffled } from '../statistics.mjs';
import { LOAD, SERVERS } from './servers.mjs';

const WARM_SECONDS = 1;
/**
 * Load before each sample. In a server that was idle, a garbage collection drops the hidden classes that no request has,
 * and all code that was optimised for them; the next requests cost several times as much until it is compiled anew.
 */
const REWARM_SECONDS = 0.5;
/** How often each server is started anew: what V8 makes of one process can move its row by a tenth. */
const PROCESSES = 3;

/** For each server samples of requests per second, p99 in ms and CPU time per request in µs. */
export async function measureServers(names, { rounds, seconds, redisPort }) {
  const load = new Child(new URL('load.mjs', import.meta.url));
  const results = names.map((name) => ({ name, perSecond: [], p99: [], cpu: [] }));
  try {
    for (let started = 0; started < PROCESSES; started++) {
      const servers = await openServers(names, redisPort);
      await measureRounds(servers, load, { rounds: rounds / PROCESSES, seconds, results });
      for (const { child } of servers) child.close();
    }
  } finally {
    load.close();
  }
  return results;
}

/** All servers stay open meanwhile: a new process per round would be measured cold. */
async function measureRounds(servers, load, { rounds, seconds, results }) {
  for (const server of servers) await underLoad(server, load, WARM_SECONDS);
  for (let round = 0; round < rounds; round++) {
    for (const index of shuffled(servers.length)) {
      await underLoad(servers[index], load, REWARM_SECONDS);
      const sample = await underLoad(servers[index], load, seconds);
      for (const [what, value] of Object.entries(sample)) results[index][what].push(value);
    }
  }
}

/** A process for each. */
async function openServers(names, redisPort) {
  const servers = [];
  for (const name of names) {
    const child = new Child(new URL('server.mjs', import.meta.url));
    servers.push({ name, child, port: await child.ask({ open: name, redisPort }) });
  }
  return servers;
}

async function underLoad({ name, child, port }, load, seconds) {
  const before = await child.ask({});
  const sample = await load.ask({ port, seconds, ...(SERVERS[name].load ?? LOAD) }).catch((error) => {
    throw new Error(`${name}: ${error.message}`);
  });
  const used = (await child.ask({})) - before;
  return { perSecond: sample.perSecond, p99: sample.p99, cpu: used / sample.requests };
}
