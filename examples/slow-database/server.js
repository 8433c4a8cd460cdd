'use strict';

// One worker thread: an application before a database that breaks down under more than eight queries at once.

const http = require('node:http');
const { parentPort, threadId, workerData } = require('node:worker_threads');
const { ConnectionTracker, Semaphore, createGuard, listen } = require('sluice');

/** Eight queries at once over all threads; the others wait in one line. */
const database = new Semaphore('database', { permits: 8, maxWaiting: 200 });

/** One deposit at a time for each account. */
const accounts = new Semaphore('accounts', { permits: 1 });

/** Waiting costs memory: no more requests are in progress than can be answered soon. */
const guard = createGuard('shop', { rateLimit: false, concurrency: { max: 100, maxPerClient: 60 } });

async function ask(path) {
  const url = `http://127.0.0.1:${workerData.databasePort}${path}`;
  const response = await fetch(url, { headers: { 'x-thread': String(threadId) } });
  if (!response.ok) throw new Error(`the database answered with status ${response.status}`);
  return response.text();
}

const query = (path) => database.run(() => ask(path), { timeout: '20s' });

/** Reads and writes: both, or neither, lie between those of another deposit. */
function deposit(account) {
  return accounts.run(
    async () => {
      const balance = Number(await query(`/get/${account}`));
      return query(`/set/${account}/${balance + 1}`);
    },
    { key: account },
  );
}

const ROUTES = {
  direct: () => ask('/report'),
  report: () => query('/report'),
  deposit,
};

async function answer(req, res) {
  const [, route, argument] = req.url.split('/');
  try {
    res.end(await ROUTES[route](argument));
  } catch (error) {
    res.statusCode = error.code === 'ERR_SLUICE_TIMEOUT' ? 503 : 502;
    res.end(error.message);
  }
}

const server = http.createServer(guard.http()(answer));

// For the main thread, which asks how many each thread has.
new ConnectionTracker('connections', {}).attach(server);
listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
