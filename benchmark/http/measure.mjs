// Servers that are compared answer load in turns, a short while each, so that what else the machine does meets all of them.
import { Child } from '../child.mjs';
import { shuffled } from '../statistics.mjs';
import { LOAD, SERVERS } from './servers.mjs';

/** In a turn, seconds of load before the sample, and those of the sample. */
const AGAIN_SECONDS = 0.1;
const SAMPLE_SECONDS = 0.3;

/** Turns that come first: five seconds of load. V8 has compiled a request of Fastify for good after two to three. */
const WARM_TURNS = 12;

/** Turns that count, of each process. */
export const SAMPLES = 12;

/**
 * For each server and sample requests per second, p99 in ms and CPU time per request in µs. Samples of servers that are
 * divided by the same bare one were taken beside each other.
 */
export async function measureServers(names, { processes, samples, redisPort }) {
  const results = names.map((name) => ({ name, perSecond: [], p99: [], cpu: [] }));
  const url = new URL('server.mjs', import.meta.url);
  for (let i = 0; i < processes; i++) {
    for (const bare of new Set(names.map((name) => SERVERS[name].over))) {
      const group = results.filter(({ name }) => SERVERS[name].over === bare);
      const servers = group.map(({ name }) => ({
        url,
        question: { open: name, redisPort },
        load: SERVERS[name].load ?? LOAD,
      }));
      const taken = await takeTurns(servers, samples);
      for (const [at, result] of group.entries()) addTo(result, taken[at]);
    }
  }
  return results;
}

function addTo(result, samples) {
  for (const sample of samples) {
    for (const [what, value] of Object.entries(sample)) result[what].push(value);
  }
}

/**
 * Runs each server in a process of its own, and takes so many samples of each, in a new order each time. Its process, of
 * `url`, answers `question` with the port, and any later question with the processor time it has used.
 *
 * So many servers at once that each has its turn again within eight seconds: at rest for as long, V8 collects its garbage,
 * and compiles some of its code anew.
 */
export async function takeTurns(servers, samples) {
  const load = new Child(new URL('load.mjs', import.meta.url));
  const running = servers.map((server) => ({ ...server, child: new Child(server.url), samples: [] }));
  try {
    for (const server of running) server.port = await named(server, server.child.ask(server.question));
    for (let turn = -WARM_TURNS; turn < samples; turn++) {
      for (const at of shuffled(running.length)) {
        const sample = await named(running[at], takeTurn(running[at], load));
        if (turn >= 0) running[at].samples.push(sample);
      }
    }
  } finally {
    load.close();
    for (const { child } of running) child.close();
  }
  return running.map((server) => server.samples);
}

async function takeTurn({ child, port, load: connections }, load) {
  const run = { ...connections, port };
  await load.ask({ ...run, seconds: AGAIN_SECONDS });
  const before = await child.ask({});
  const { perSecond, p99, requests } = await load.ask({ ...run, seconds: SAMPLE_SECONDS });
  return { perSecond, p99, cpu: ((await child.ask({})) - before) / requests };
}

function named({ question }, answer) {
  return answer.catch((error) => {
    throw new Error(`${question.open}: ${error.message}`);
  });
}
