'use strict';

// Four worker threads with Hono share a limit per client, and one on wrong passwords: 80 requests of one client, 20 guesses
// of another, and correct passwords of a third.

const { ask, check, repeat, startWorkers, tally } = require('../stage');

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());
  const login = (from, password) => {
    const headers = { 'content-type': 'application/json' };
    return ask(port, '/login', { method: 'POST', headers, body: JSON.stringify({ password }), from });
  };

  const pages = await repeat(80, 16, () => ask(port, '/', { from: '127.0.0.2' }));
  check('80 requests of one client', statuses(pages), '200 × 50, 429 × 30');

  const guesses = await repeat(20, 8, (turn) => login('127.0.0.3', `guess ${turn}`));
  check('20 wrong passwords', statuses(guesses), '401 × 5, 429 × 15');

  const logins = await repeat(20, 1, () => login('127.0.0.4', 'correct horse battery staple'));
  check('20 correct passwords', statuses(logins), '200 × 20');

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
