'use strict';

// Ten machines guess passwords against four worker threads. Each is banned after five wrong ones; further bans last
// longer and take fewer failures. Meanwhile a customer logs in with a few typing errors and is never refused.

const http = require('node:http');
const { createGuard } = require('sluice');
const { manualClock } = require('sluice/testing');
const { ask, check, repeat, startWorkers, tally } = require('../stage');

const CUSTOMER = '127.0.0.1';
const MACHINES = Array.from({ length: 10 }, (_, n) => `127.0.0.${n + 2}`);
const GUESSES = 12;
const RIGHT = 'correct horse battery staple';

/** Wrong passwords that are checked before each ban, and its length in seconds. */
const ROUNDS = [
  { checked: 5, ban: 60 },
  { checked: 3, ban: 120 },
  { checked: 2, ban: 240 },
  { checked: 1, ban: 480 },
];

function login(port, password, options) {
  const headers = { 'content-type': 'application/json' };
  return ask(port, '/login', { method: 'POST', headers, body: JSON.stringify({ password }), ...options });
}

const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

async function playRounds(port, clock) {
  for (const { checked, ban } of ROUNDS) {
    const [answers, logins, mistyped] = await Promise.all([
      Promise.all(
        MACHINES.map((from) => repeat(GUESSES, 1, (turn) => login(port, `guess ${turn}`, { from }))),
      ),
      repeat(25, 1, () => login(port, RIGHT, { from: CUSTOMER })),
      login(port, 'correct hoarse', { from: CUSTOMER }),
    ]);
    const [all, machines] = [answers.flat(), MACHINES.length];
    const expected = `401 × ${checked * machines}, 403 × ${(GUESSES - checked) * machines}`;
    check(`${all.length} guesses from ten addresses`, statuses(all), expected);
    const waits = new Set(answers.map((own) => own.at(-1).headers['retry-after']));
    check('  Retry-After of each, in seconds', [...waits], ban);
    check('  the customer, with one typing error', statuses([...logins, mistyped]), '200 × 25, 401 × 1');
    clock.advance(`${ban}s`);
  }
}

/** A client banned by one thread is refused by all others, on open connections and at accept. */
async function askEachThread(servers) {
  const from = '127.0.0.12';
  const agents = servers.map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  const overOpen = (n, password) => login(servers[n].own, password, { from, agent: agents[n] });
  check(
    'a new client, served by each thread',
    statuses(await repeat(4, 1, (n) => overOpen(n, RIGHT))),
    '200 × 4',
  );
  const guesses = await repeat(5, 1, (turn) => overOpen(0, `guess ${turn}`));
  check('guesses at the first thread', statuses(guesses), '401 × 5');
  const open = await Promise.all([1, 2, 3].map((n) => overOpen(n, RIGHT)));
  check('the next request to the other three', statuses(open), '403 × 3');
  const fresh = await Promise.all([1, 2, 3].map((n) => login(servers[n].own, RIGHT, { from })));
  check('a new connection to the other three', statuses(fresh), '403 × 3');
  for (const agent of agents) agent.destroy();
}

async function main() {
  const clock = manualClock();
  const { workers, servers, port } = await startWorkers(require.resolve('./server'), 4);
  await playRounds(port, clock);
  await askEachThread(servers);

  const { recorded, refusedAtAccept, refusedBy, reputation } = createGuard('login').stats();
  const checked = ROUNDS.reduce((sum, round) => sum + round.checked, 0) * MACHINES.length;
  check('wrong passwords recorded', recorded, checked + ROUNDS.length + 5);
  check('bans', reputation.bans, ROUNDS.length * MACHINES.length + 1);
  const guesses = ROUNDS.length * MACHINES.length * GUESSES;
  check(
    'refused at accept, and on open connections',
    [refusedAtAccept, refusedBy.ban],
    [guesses - checked + 3, 3],
  );

  clock.restore();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
