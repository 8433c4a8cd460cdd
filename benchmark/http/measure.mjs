// Each server under load once per round, in another order each time.
import { Child } from '../child.mjs';
import { shuffled } from '../statistics.mjs';

/** Enough to keep a server busy without a queue that hides its latency. */
export const CONNECTIONS = 16;
const WARM_SECONDS = 1;

/** For each server a row of samples of requests per second, of p99 in ms, of processor time per request in µs. */
export async function measureServers(names, { rounds, seconds, redisPort }) {
  const load = new Child(new URL('load.mjs', import.meta.url));
  const servers = await openServers(names, redisPort);
  const results = names.map((name) => ({ name, perSecond: [], p99: [], cpu: [] }));
  try {
    for (const server of servers) await underLoad(server, load, WARM_SECONDS);
    for (let round = 0; round < rounds; round++) {
      for (const index of shuffled(servers.length)) {
        const sample = await underLoad(servers[index], load, seconds);
        for (const [what, value] of Object.entries(sample)) results[index][what].push(value);
      }
    }
  } finally {
    for (const { child } of servers) child.close();
    load.close();
  }
  return results;
}

/** All stay open: a new process in every round would be measured cold. */
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
  const told = await load.ask({ port, seconds, connections: CONNECTIONS }).catch((error) => {
    throw new Error(`${name}: ${error.message}`);
  });
  const used = (await child.ask({})) - before;
  return { perSecond: told.perSecond, p99: told.p99, cpu: used / told.requests };
}
