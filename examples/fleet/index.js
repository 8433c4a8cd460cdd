'use strict';

// Three processes stand for three machines, which share two limits on a Redis server: 90 orders of one client, 1000 searches of
// another, a machine that is killed, and a server that is paused.

const { fork } = require('node:child_process');
const { once } = require('node:events');
const http = require('node:http');
const { ask, check, repeat, tally } = require('../stage');
const { startRedis } = require('./redis');

const MACHINES = 3;

async function main() {
  const redis = await startRedis();
  if (redis === undefined) return withoutRedis();
  const machines = await Promise.all(Array.from({ length: MACHINES }, () => startMachine(redis.url)));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const to = (turn, path, from) => ask(machines[turn % machines.length].port, path, { from, agent });
  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

  const orders = await repeat(90, 12, (turn) => to(turn, '/order', '127.0.0.2'));
  check('90 orders over three machines', statuses(orders), '200 × 30, 429 × 60');

  const searches = await repeat(300, 12, (turn) => to(turn, '/search', '127.0.0.3'));
  check('300 searches, which leases decide', statuses(searches), '200 × 300');
  const reports = await Promise.all(machines.map(report));
  const asked = reports.reduce((sum, { fleet }) => sum + fleet.decisions, 0);
  check('fewer decisions of the server than searches', asked < 300, true);

  // What a machine holds is lost with it until it lapses: of what is left, no more than a third with the one that holds least.
  const held = reports.map(({ fleet }) => fleet.held);
  const [killed] = machines.splice(held.indexOf(Math.min(...held)), 1);
  await kill(killed);
  const rest = await repeat(700, 12, (turn) => to(turn, '/search', '127.0.0.3'));
  const admitted = rest.filter(({ status }) => status === 200).length;
  check('700 more after one is killed: no more than 300 are admitted', admitted <= 300, true);
  check('and most of those are', admitted >= 150, true);

  redis.pause();
  const [paused] = await repeat(1, 1, (turn) => to(turn, '/order', '127.0.0.4'));
  check('an order while the server is paused', paused.status, 503);
  redis.resume();

  agent.destroy();
  await Promise.all(machines.map(kill));
  redis.stop();
}

async function startMachine(url) {
  const machine = fork(require.resolve('./server'), { env: { ...process.env, REDIS_URL: url } });
  const { port } = await messageOf(machine);
  return { machine, port };
}

function report({ machine }) {
  machine.send('report');
  return messageOf(machine);
}

/** The next message; an error if the machine ends instead. */
async function messageOf(machine) {
  const ended = once(machine, 'exit').then(([code, signal]) => {
    throw new Error(`a machine ended: ${signal ?? `exit code ${code}`}`);
  });
  const [message] = await Promise.race([once(machine, 'message'), ended]);
  return message;
}

async function kill({ machine }) {
  machine.kill('SIGKILL');
  await once(machine, 'exit');
}

function withoutRedis() {
  console.log('redis-server cannot be started: the example needs it');
  if (process.env.SLUICE_REQUIRE_REDIS) process.exitCode = 1;
}

main();
