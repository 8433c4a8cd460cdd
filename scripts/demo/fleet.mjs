// Three processes stand for three machines, which share one Redis server: calls admitted, beside the limit.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { printTable } from './screen.mjs';

const { startRedis } = createRequire(import.meta.url)('../../examples/fleet/redis.js');

const MACHINES = 3;
const CALLS = 2_000;
const LIMIT = 3_000;

/** Prints what each machine admitted in either mode; whether no limit was exceeded. */
export async function demoFleet() {
  const redis = await startRedis();
  if (redis === undefined) {
    console.log('redis-server cannot be started: the fleet was not shown');
    return !process.env.SLUICE_REQUIRE_REDIS;
  }
  const within = [];
  for (const mode of ['exact', 'lease']) within.push(await callAll(redis.url, mode));
  redis.stop();
  return within.every(Boolean);
}

async function callAll(url, mode) {
  const machines = await Promise.all(Array.from({ length: MACHINES }, () => callOne({ url, mode })));
  console.log(
    `\n${MACHINES} machines, ${CALLS} calls each, one client, a limit of ${LIMIT}, mode: '${mode}'\n`,
  );
  const rows = machines.map(({ pid, admitted, commands, us }) => [pid, CALLS, admitted, commands, us]);
  printTable(['machine (process)', 'calls', 'admitted', 'calls of Redis', 'µs a call'], rows);
  const admitted = machines.reduce((sum, machine) => sum + machine.admitted, 0);
  console.log(`admitted together: ${admitted} of ${LIMIT}`);
  return mode === 'exact' ? admitted === LIMIT : admitted <= LIMIT && admitted > 0;
}

async function callOne(task) {
  const machine = fork(new URL('./fleet-machine.cjs', import.meta.url), {
    env: { ...process.env, FLEET_TASK: JSON.stringify({ ...task, calls: CALLS, limit: LIMIT }) },
  });
  const ended = once(machine, 'exit');
  const [report] = await Promise.race([once(machine, 'message'), ended.then(failed)]);
  await ended;
  return report;
}

function failed([code, signal]) {
  throw new Error(`a machine ended without a report: ${signal ?? `exit code ${code}`}`);
}
