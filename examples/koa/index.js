'use strict';

// Four worker threads with Koa share a limit per client and one per account: 80 requests of one client, 20 searches of one
// account from four addresses.

const { ask, check, repeat, startWorkers, tally } = require('../stage');

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

  const pages = await repeat(80, 16, () => ask(port, '/', { from: '127.0.0.2' }));
  check('80 requests of one client', statuses(pages), '200 × 50, 429 × 30');

  const headers = { 'x-account': 'ada' };
  const searches = await repeat(20, 8, (turn) =>
    ask(port, '/search', { headers, from: `127.0.0.${3 + (turn % 4)}` }),
  );
  check('20 searches of one account', statuses(searches), '200 × 5, 429 × 15');

  const { headers: sent, text } = await ask(port, '/search', { headers, from: '127.0.0.9' });
  console.log(`\n  RateLimit: ${sent.ratelimit}\n  Retry-After: ${sent['retry-after']}\n  ${text}`);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
