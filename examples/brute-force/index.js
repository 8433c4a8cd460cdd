'use strict';

// Ten machines guess passwords over four worker threads. Each is banned after five wrong ones, for longer each time,
// after fewer each time. Meanwhile a customer logs in, mistypes now and then, and is never refused.

const http = require('node:http');
const { createGuard } = require('sluice');
const { manualClock } = require('sluice/testing');
const { ask, check, repeat, startWorkers, tally } = require('../stage');

const CUSTOMER = '127.0.0.1';
const MACHINES = Array.from({ length: 10 }, (_, n) => `127.0.0.${n + 2}`);
const GUESSES = 12;
const RIGHT = 'correct horse battery staple';

/** Wrong passwords that are looked at before each ban, and its length in seconds. */
const ROUNDS = [
  { looked: 5, ban: 60 },
  { looked: 3, ban: 120 },
  { looked: 2, ban: 240 },
  { looked: 1, ban: 480 },
];

function login(port, password, options) {
  const headers = { 'content-type': 'application/json' };
  return ask(port, '/login', { method: 'POST', headers, body: JSON.stringify({ password }), ...options });
}

const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

async function playRounds(port, clock) {
  for (const { looked, ban } of ROUNDS) {
    const [answers, logins, mistyped] = await Promise.all([
      Promise.all(
        MACHINES.map((from) => repeat(GUESSES, 1, (turn) => login(port, `guess ${turn}`, { from }))),
      ),
      repeat(25, 1, () => login(port, RIGHT, { from: CUSTOMER })),
      login(port, 'correct hoarse', { from: CUSTOMER }),
    ]);
    const [all, machines] = [answers.flat(), MACHINES.length];
    const expected = `401 × ${looked * machines}, 403 × ${(GUESSES - looked) * machines}`;
    check(`${all.length} guesses from ten addresses`, statuses(all), expected);
    const waits = new Set(answers.map((own) => own.at(-1).headers['retry-after']));
    check('  each is to come back in so many seconds', [...waits], ban);
    check('  the customer, with one typing error', statuses([...logins, mistyped]), '200 × 25, 401 × 1');
    clock.advance(`${ban}s`);
  }
}

/** Who is banned by one thread is refused by the others: on connections that stand, and at accept. */
async function askEachThread(told) {
  const from = '127.0.0.12';
  const agents = told.map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  const overOpen = (n, password) => login(told[n].own, password, { from, agent: agents[n] });
  check(
    'a newcomer, served by each thread',
    statuses(await repeat(4, 1, (n) => overOpen(n, RIGHT))),
    '200 × 4',
  );
  const guesses = await repeat(5, 1, (turn) => overOpen(0, `guess ${turn}`));
  check('guesses at the first thread', statuses(guesses), '401 × 5');
  const open = await Promise.all([1, 2, 3].map((n) => overOpen(n, RIGHT)));
  check('the next request to the other three', statuses(open), '403 × 3');
  const fresh = await Promise.all([1, 2, 3].map((n) => login(told[n].own, RIGHT, { from })));
  check('a new connection to the other three', statuses(fresh), '403 × 3');
  for (const agent of agents) agent.destroy();
}

async function main() {
  const clock = manualClock();
  const { workers, told, port } = await startWorkers(require.resolve('./server'), 4);
  await playRounds(port, clock);
  await askEachThread(told);

  const { recorded, refusedAtAccept, refusedBy, reputation } = createGuard('login').stats();
  const looked = ROUNDS.reduce((sum, round) => sum + round.looked, 0) * MACHINES.length;
  check('wrong passwords recorded', recorded, looked + ROUNDS.length + 5);
  check('bans', reputation.bans, ROUNDS.length * MACHINES.length + 1);
  const guesses = ROUNDS.length * MACHINES.length * GUESSES;
  check(
    'refused at accept, and on open connections',
    [refusedAtAccept, refusedBy.ban],
    [guesses - looked + 3, 3],
  );

  clock.restore();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
