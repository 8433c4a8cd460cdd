'use strict';

// Four worker threads with Nest share a limit per client, and one of two routes per account: 80 requests of one client,
// logins and codes of one account from four addresses.

const { ask, check, repeat, startWorkers, tally } = require('../stage');

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

  const pages = await repeat(80, 16, () => ask(port, '/', { from: '127.0.0.2' }));
  check('80 requests of one client', statuses(pages), '200 × 50, 429 × 30');
  const probes = await repeat(20, 8, () => ask(port, '/health', { from: '127.0.0.2' }));
  check('20 probes of the same client', statuses(probes), '200 × 20');

  const post = (path) => (turn) =>
    ask(port, path, { method: 'POST', headers: { 'x-account': 'ada' }, from: `127.0.0.${3 + (turn % 4)}` });
  check('3 logins of one account, of cost 2', statuses(await repeat(3, 3, post('/login'))), '201 × 3');
  check('10 codes of the same account', statuses(await repeat(10, 8, post('/code'))), '201 × 4, 429 × 6');

  const { headers, text } = await post('/login')(0);
  console.log(`\n  RateLimit: ${headers.ratelimit}\n  Retry-After: ${headers['retry-after']}\n  ${text}`);
  check('media type', headers['content-type'], 'application/problem+json');

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
