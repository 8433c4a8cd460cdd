'use strict';

// A database that breaks down under more than eight queries at once, behind four worker threads: a semaphore lets eight
// through, a mutex for each account makes deposits exact, and a guard bounds the requests that wait.

const http = require('node:http');
const { ConnectionTracker, Semaphore, createGuard } = require('sluice');
const { ask, check, repeat, startWorkers, tally, until } = require('../stage');

const MOST_AT_ONCE = 8;

/** Answers after 5 ms, or with 500 where too much is asked at once. While it `holds`, it does not answer. */
async function startDatabase() {
  const database = { atOnce: 0, most: 0, holds: false, lastThread: 0, held: [] };
  const balances = new Map();
  const run = (url) => {
    const [, what, account, value] = url.split('/');
    if (what === 'set') balances.set(account, value);
    return what === 'report' ? 'a report' : (balances.get(account) ?? '0');
  };
  const server = http.createServer((req, res) => {
    database.atOnce += 1;
    database.most = Math.max(database.most, database.atOnce);
    database.lastThread = threadOf(req);
    res.once('close', () => {
      database.atOnce -= 1;
    });
    if (database.holds) return database.held.push(res);
    res.statusCode = database.atOnce > MOST_AT_ONCE ? 500 : 200;
    setTimeout(() => res.end(run(req.url)), 5);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(database, { port: server.address().port, server });
}

const threadOf = (req) => Number(req.headers['x-thread']);

async function main() {
  const database = await startDatabase();
  const workerData = { databasePort: database.port };
  const { workers, port } = await startWorkers(require.resolve('./server'), 4, { workerData });
  const permits = new Semaphore('database');
  const guard = createGuard('shop');
  const connections = new ConnectionTracker('connections');
  const statuses = async (count, together, path) =>
    tally(await repeat(count, together, async () => (await ask(port, path)).status));
  // A client may have its answer before the thread has counted the request as ended.
  const allEnded = () => until(() => guard.stats().concurrency.inFlight === 0);

  console.log('200 requests, 50 concurrently, each with a query');
  check(
    'without a semaphore the database breaks down',
    (await statuses(200, 50, '/direct')).includes('502'),
    true,
  );
  database.most = 0;
  check('with one', await statuses(200, 50, '/report'), '200 × 200');
  check('most queries at once', database.most, MOST_AT_ONCE);

  console.log('60 deposits of 1 into one account, all at once, each a query that reads and one that writes');
  await allEnded();
  await statuses(60, 60, '/deposit/ada');
  check('balance', (await ask(database.port, '/get/ada')).text, 60);
  check('most queries at once', database.most, MOST_AT_ONCE);

  console.log('The database hangs, and one client sends 100 requests');
  await allEnded();
  database.holds = true;
  const asking = Array.from({ length: 100 }, () => ask(port, '/report'));
  await until(() => guard.stats().refusedBy.concurrency === 40);
  const { refusedBy, concurrency } = guard.stats();
  check('refused with 429, and in progress', [refusedBy.concurrency, concurrency.inFlight], [40, 60]);
  await until(() => permits.stats().waiting === 52 && database.held.length === MOST_AT_ONCE);
  check('queries under way, and those that wait', [permits.stats().held, permits.stats().waiting], [8, 52]);
  await until(() => connections.count === 60);
  // Which thread a connection goes to is decided by the system: another client asks until more than one has some.
  while (Object.values(connections.stats().perThread).filter((count) => count > 0).length < 2) {
    asking.push(ask(port, '/report', { from: '127.0.0.2' }));
    await until(() => permits.stats().waiting === asking.length - 48);
  }

  console.log('The thread of the last query is terminated: its permits go to the others');
  const ended = Promise.allSettled(asking);
  const last = database.lastThread;
  await workers.find(({ threadId }) => threadId === last).terminate();
  // Others may ask before the database sees that the connections of the ended thread are closed.
  await until(() => database.held.every((res) => res.closed || threadOf(res.req) !== last));
  database.holds = false;
  for (const res of database.held) res.end('a report');
  const settled = await ended;
  const answers = settled.filter(({ status }) => status === 'fulfilled').map(({ value }) => value.status);
  const served = answers.filter((status) => status === 200).length;
  const cut = settled.length - answers.length;
  check('served, refused, or cut off with their thread', served + refusedBy.concurrency + cut, asking.length);
  check('some are served by other threads', served > 0, true);
  await allEnded();
  const { held, waiting, keys } = permits.stats();
  check('permits held, calls that wait, keys in use', [held, waiting, keys], [0, 0, 0]);

  database.server.close();
  database.server.closeAllConnections();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
