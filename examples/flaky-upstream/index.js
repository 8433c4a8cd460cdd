'use strict';

// An upstream fails behind four worker threads. After ten failures in total, not in each thread, no thread calls it;
// later two trial calls are made in total.

const http = require('node:http');
const { CircuitBreaker } = require('sluice');
const { ask, check, repeat, startWorkers, tally, until } = require('../stage');

/** An upstream that is healthy or not; `requests` counts what it receives. */
async function startUpstream() {
  const upstream = { isHealthy: false, requests: 0, takesMs: 0 };
  const server = http.createServer((_req, res) => {
    upstream.requests += 1;
    res.statusCode = upstream.isHealthy ? 200 : 500;
    setTimeout(() => res.end(), upstream.takesMs);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(upstream, { port: server.address().port, server });
}

async function main() {
  const upstream = await startUpstream();
  const workerData = { upstreamPort: upstream.port };
  const { workers, port } = await startWorkers(require.resolve('./server'), 4, { workerData });
  const breaker = new CircuitBreaker('gateway');
  const events = [];
  for (const event of ['open', 'halfOpen', 'close']) breaker.on(event, () => events.push(event));
  const statuses = async (count, together) => {
    const answers = await repeat(count, together, () => ask(port, '/'));
    return answers.map(({ status }) => status);
  };

  console.log('The upstream is down');
  check('the first ten, one after the other', tally(await statuses(10, 1)), '502 × 10');
  check('200 more', tally(await statuses(200, 16)), '503 × 200');
  check('requests that reached the upstream', upstream.requests, 10);

  console.log('openFor is over, but the upstream is still down');
  // Longer than it takes to send forty requests, so that all of them arrive during the trials.
  upstream.takesMs = 300;
  await until(() => breaker.stats('orders').retryAfterMs === 0);
  const tried = (await statuses(40, 40)).sort((a, b) => a - b);
  check('two of forty concurrent calls are trials', tally(tried), '502 × 2, 503 × 38');

  console.log('The upstream has recovered');
  upstream.isHealthy = true;
  await until(() => breaker.stats('orders').retryAfterMs === 0);
  const retried = (await statuses(40, 40)).sort((a, b) => a - b);
  check('two of forty concurrent calls are trials', tally(retried), '200 × 2, 503 × 38');
  upstream.takesMs = 0;
  check('100 more', tally(await statuses(100, 8)), '200 × 100');

  await until(() => events.length === 5);
  check('events', events, ['open', 'halfOpen', 'open', 'halfOpen', 'close']);
  const { successes, failures, refused } = breaker.stats();
  check('succeeded, failed, refused', [successes, failures, refused], [102, 12, 276]);

  upstream.server.close();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
