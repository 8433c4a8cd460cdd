'use strict';

// Four worker threads with tRPC share a hundred units a minute of each client: a post costs one, a search ten, and a batch
// the sum of its calls.

const { ask, check, repeat, startWorkers, tally } = require('../stage');

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const statuses = (answers) => tally(answers.map(({ status }) => status).sort());
  const call = (path, from) => ask(port, `/${path}`, { from });

  const searches = await repeat(14, 7, () => call('search', '127.0.0.2'));
  check('14 searches of one client', statuses(searches), '200 × 10, 429 × 4');
  const { headers, text } = await call('post', '127.0.0.2');
  check('a post after them', JSON.parse(text).error.data.code, 'TOO_MANY_REQUESTS');
  check('has Retry-After', Number(headers['retry-after']) > 0, true);
  check('what costs nothing', statuses([await call('health', '127.0.0.2')]), '200 × 1');

  const batch = `${Array(3).fill('search').join()},${Array(5).fill('post').join()}?batch=1`;
  const { headers: sent } = await call(batch, '127.0.0.3');
  check('units left after a batch of 3 searches and 5 posts', sent['x-units-left'], 65);
  const { status, text: mixed } = await call(`${Array(8).fill('search').join()}?batch=1`, '127.0.0.3');
  const refused = JSON.parse(mixed).filter(({ error }) => error !== undefined).length;
  check('a batch of 8 searches: status, and how many were refused', [status, refused], [207, 2]);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
