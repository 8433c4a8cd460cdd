'use strict';

// Four worker threads with GraphQL share a thousand units a minute of each client. An operation costs one unit for each
// object it asks for, so neither aliases nor nested lists are cheap.

const { ask, check, repeat, startWorkers, tally } = require('../stage');

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());
  const query = (from, text, variables) =>
    ask(port, '/', { method: 'POST', from, body: JSON.stringify({ query: text, variables }) });
  const left = ({ headers }) => Number(/r=(\d+)/.exec(headers.ratelimit)?.[1]);

  check('one author: left', left(await query('127.0.0.2', '{ author { name } }')), 999);
  const nested = '{ authors(first: 10) { posts(first: 20) { title } } }';
  check('10 authors with 20 posts each: left', left(await query('127.0.0.2', nested)), 999 - 210);
  const aliases = `{ ${Array.from({ length: 50 }, (_, i) => `a${i}: author { name }`).join(' ')} }`;
  check('50 aliases: left', left(await query('127.0.0.2', aliases)), 789 - 50);
  const fragment =
    'query ($n: Int) { authors(first: $n) { ...posts } } fragment posts on Author { posts(first: 4) { title } }';
  check('a fragment and a variable: left', left(await query('127.0.0.2', fragment, { n: 7 })), 739 - 35);

  const answers = await repeat(9, 6, () => query('127.0.0.3', nested));
  check('9 of 210 units of one client', statuses(answers), '200 × 4, 429 × 5');
  const { status, headers } = await query('127.0.0.4', '{ authors(first: 1001) { name } }');
  check(
    'one that costs more than the quota: status, Retry-After',
    [status, headers['retry-after']],
    [429, undefined],
  );
  const byDefault = await query(
    '127.0.0.5',
    '{ authors { posts { title } ... on Author { name } __typename } }',
  );
  check('lists of the default size: left', left(byDefault), 1000 - 110);
  check('an invalid one', (await query('127.0.0.4', '{ secrets }')).status, 400);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
