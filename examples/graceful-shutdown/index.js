'use strict';

// A new version is rolled out while customers place orders: four threads shut down together, and no order is lost.

const http = require('node:http');
const { once } = require('node:events');
const { Lifecycle, Registry } = require('sluice');
const { manualClock } = require('sluice/testing');
const { WebSocket } = require('ws');
const { ask, check, startWorkers, tally, until } = require('../stage');

const CUSTOMERS = 60;
const FEEDS = 16;

/** Places orders over one keep-alive connection until the server refuses. */
async function order(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  let ordered = 0;
  for (;;) {
    const end = await ask(port, '/order', { method: 'POST', body: '{}', agent }).then(
      ({ status }) => status,
      (error) => error.code,
    );
    if (end !== 200) {
      agent.destroy();
      return { ordered, end };
    }
    ordered += 1;
  }
}

/** Opens a feed; `ended` resolves with its close code and reason. */
async function follow(port) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}`);
  const ended = once(ws, 'close').then(([code, reason]) => `${code} ${reason}`);
  await once(ws, 'message');
  return { ended };
}

async function main() {
  // The clock of all threads. It is stopped, so the delay of the shutdown lasts until the example moves on.
  const clock = manualClock();
  const lifecycle = new Lifecycle('shop');
  const ledger = new Registry('ledger');
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const probe = async (path) => (await ask(port, path)).status;

  console.log('Four threads on one port');
  check('readiness probe before ready()', await probe('/readyz'), 503);
  lifecycle.ready();
  check('readiness probe', await probe('/readyz'), 200);
  const feeds = await Promise.all(Array.from({ length: FEEDS }, () => follow(port)));
  const customers = Array.from({ length: CUSTOMERS }, () => order(port));
  await until(() => ledger.get('accepted') > 600);

  console.log('The shutdown begins');
  const down = lifecycle.shutdown({ reason: 'a new version', delay: '1s', timeout: '10s' });
  check('state', lifecycle.state, 'draining');
  check('readiness probe during the delay', await probe('/readyz'), 503);
  check('liveness probe', await probe('/healthz'), 200);
  const accepted = ledger.get('accepted');
  await until(() => ledger.get('accepted') > accepted + 100);
  check('orders are accepted during the delay', ledger.get('accepted') > accepted, true);
  clock.advance('1s');
  const report = await down;
  const ended = await Promise.all(customers);
  const ordered = ended.reduce((sum, customer) => sum + customer.ordered, 0);
  const otherEnds = ended.filter(({ end }) => ![503, 'ECONNREFUSED'].includes(end));

  check('every accepted order was answered', ledger.get('accepted') === ordered, true);
  check('every order was written before the threads stopped', ledger.get('written') === ordered, true);
  check('customers whose last request failed otherwise than by a refusal', otherEnds.length, 0);
  check(
    'close code and reason of the feeds',
    tally(await Promise.all(feeds.map((feed) => feed.ended))),
    `1001 a new version × ${FEEDS}`,
  );
  check('drained', report.drained, true);
  check('forced, reset, and left', [report.forced, report.connectionsReset, report.tasksLeft], [0, 0, 0]);
  check('threads', Object.keys(report.perThread).length, 5);
  check('hooks that succeeded', report.hooks.filter(({ ok }) => ok).length, 8);
  check('pools closed', ledger.get('pools closed'), 4);
  check('state', lifecycle.state, 'stopped');

  clock.restore();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
