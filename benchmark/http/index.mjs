// The part `http`: how much a limiter lowers the requests per second of a server.
import { median, NOTICEABLE, ratio, spread } from '../statistics.mjs';
import { table } from '../table.mjs';
import { measureServers, SAMPLES } from './measure.mjs';
import { startRedis } from './redis.mjs';
import { EXACT, LEASED, LOAD, PEER_OVER_REDIS, SERVERS } from './servers.mjs';

export const title = 'Servers';

const GUARDED = 'Fastify, sluice/fastify';

/** The least share of the bare Fastify's requests, per second and per processor time. */
const LEAST = {
  [GUARDED]: 0.9,
  'Fastify, sluice/fastify, policy once a connection': 0.92,
  "Fastify, sluice/fastify, headers: 'refused'": 0.96,
  [LEASED]: 0.93,
  [EXACT]: 0.7,
};

const NO_REDIS =
  '**Not measured: limiters with Redis**, as `redis-server` is not on the PATH or does not start; ' +
  "the system's package manager has it (`apt-get install redis-server`).";

/** The servers charted for each kind of limiter, by framework. */
const CHARTED = {
  sluice: ['Express, sluice/express', GUARDED],
  'the usual limiter, in memory': ['Express, express-rate-limit', 'Fastify, @fastify/rate-limit in memory'],
  'with Redis': [undefined, PEER_OVER_REDIS],
};

export async function run({ quick }) {
  const [processes, samples] = quick ? [1, 2] : [6, SAMPLES];
  console.log(`sluice: servers, ${processes} processes each`);
  const redis = await startRedis();
  if (redis === undefined) console.error(`sluice: ${NO_REDIS}`);
  const names = Object.keys(SERVERS).filter((name) => redis !== undefined || !SERVERS[name].needsRedis);
  const plan = { processes, samples, redisPort: redis?.port };
  const results = await measureServers(names, plan).finally(() => redis?.stop());
  return {
    sections: [report(results, plan)],
    skipped: redis === undefined ? [NO_REDIS] : [],
    losses: losses(results),
    targets: targets(results),
    figures: [figure(results)],
    charts: [chart(results)],
  };
}

function report(results, { processes, samples }) {
  const rows = results.map((result) => [
    result.name,
    median(result.perSecond).toFixed(0),
    shareOfBare(results, result.name).toFixed(2),
    `±${(100 * spread(result.perSecond)).toFixed(0)} %`,
    median(result.p99).toFixed(2),
    median(result.cpu).toFixed(1),
    ratio(result.cpu, of(results, SERVERS[result.name].over).cpu).toFixed(2),
  ]);
  const headings = ['server', 'requests/s', '× bare', 'spread', 'p99 ms', 'CPU µs/request', 'CPU × bare'];
  const how =
    `${LOAD.connections} connections where a row does not say otherwise, without pipelining, ` +
    `${processes} processes of each server, ${samples} samples of each process; medians.`;
  return `### Requests per second\n\n${how}\n\n${table(headings, rows)}`;
}

/** Servers with sluice that answer over 5 % fewer requests than the bare server or one with another limiter. */
function losses(results) {
  return results
    .filter(({ name }) => isSluice(name))
    .flatMap((sluice) =>
      rivals(results, sluice.name)
        .map((rival) => ({ rival, times: ratio(rival.perSecond, sluice.perSecond) }))
        .filter(({ times }) => times > NOTICEABLE)
        .map(
          ({ rival, times }) =>
            `\`${rival.name}\` answers ${times.toFixed(2)} × the requests of ${sluice.name}.`,
        ),
    );
}

function targets(results) {
  const measured = Object.entries(LEAST).filter(([name]) => of(results, name) !== undefined);
  return measured.flatMap(([name, atLeast]) => {
    const cpu = ratio(of(results, SERVERS[name].over).cpu, of(results, name).cpu);
    const beside = `${name} / bare`;
    const perSecond = shareOfBare(results, name);
    return [
      { what: `requests per second, ${beside}`, atLeast, unit: '×', value: perSecond },
      { what: `requests per processor time, ${beside}`, atLeast, unit: '×', value: cpu },
    ];
  });
}

function figure(results) {
  const share = (name) => `${name}: ${shareOfBare(results, name).toFixed(2)}`;
  const others = ['Fastify, @fastify/rate-limit in memory', PEER_OVER_REDIS];
  return {
    question: 'What does it cost a server?',
    answer: `Fastify with the guard answers ${shareOfBare(results, GUARDED).toFixed(2)} of the requests of a bare one`,
    beside: others
      .filter((name) => of(results, name) !== undefined)
      .map((name) => share(name).replace('Fastify, ', ''))
      .join('; '),
  };
}

function chart(results) {
  const frameworks = ['Express', 'Fastify'];
  const series = Object.entries(CHARTED).map(([name, rows]) => ({
    name,
    highlighted: name === 'sluice',
    values: rows.map((row) => (of(results, row) === undefined ? null : shareOfBare(results, row))),
  }));
  const title = 'Requests per second beside the bare server';
  return { file: 'servers', kind: 'bars', title, unit: '× bare', groups: frameworks, series };
}

function rivals(results, name) {
  const { over } = SERVERS[name];
  return results.filter((other) => isRival(SERVERS[other.name], over) && !isSluice(other.name));
}

function isRival(server, over) {
  return server.over === over && !server.isFloor;
}

function isSluice(name) {
  return name.includes('sluice');
}

function shareOfBare(results, name) {
  return ratio(of(results, name).perSecond, of(results, SERVERS[name].over).perSecond);
}

function of(results, name) {
  return results.find((result) => result.name === name);
}
