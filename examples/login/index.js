'use strict';

// A client guesses passwords as fast as four worker threads answer: five are checked across all threads. Meanwhile another
// client logs in a hundred times and is never refused.

const { ask, check, repeat, startWorkers, tally } = require('../stage');

const GUESSER = '203.0.113.66';
const CUSTOMER = '198.51.100.7';

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);

  // The example acts as the proxy in front of the server.
  const login = (client, password) => {
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': client };
    return ask(port, '/login', { method: 'POST', headers, body: JSON.stringify({ password }) });
  };

  const [guesses, logins] = await Promise.all([
    repeat(200, 16, (turn) => login(GUESSER, `guess ${turn}`)),
    repeat(100, 1, () => login(CUSTOMER, 'correct horse battery staple')),
  ]);

  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());
  check('200 wrong passwords', statuses(guesses), '401 × 5, 429 × 195');
  check('100 correct passwords of another client', statuses(logins), '200 × 100');

  const late = await login(GUESSER, 'correct horse battery staple');
  check('a correct password of the first client', late.status, 429);
  console.log(`\n  Retry-After: ${late.headers['retry-after']}\n  ${late.text}`);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
