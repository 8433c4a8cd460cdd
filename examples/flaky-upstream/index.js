'use strict';

// An upstream fails behind four worker threads. After ten failures in total, not in each thread, no thread calls it;
// later two trial calls are made in total.

const http = require('node:http');
const { CircuitBreaker } = require('sluice');
const { manualClock } = require('sluice/testing');
const { ask, check, repeat, startWorkers, tally, until } = require('../stage');

/** An upstream that is healthy or not, and answers once it `mayAnswer`; `requests` counts what it receives. */
async function startUpstream() {
  const upstream = { isHealthy: false, requests: 0, mayAnswer: Promise.resolve() };
  const server = http.createServer(async (_req, res) => {
    upstream.requests += 1;
    res.statusCode = upstream.isHealthy ? 200 : 500;
    await upstream.mayAnswer;
    res.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(upstream, { port: server.address().port, server });
}

async function main() {
  // The clock of all threads. It is stopped, so a circuit stays open until the example moves on.
  const clock = manualClock();
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
  /** Forty calls at once, of which all but the trials are refused before the trials are answered. */
  const statusesOfTrials = async () => {
    const { refused } = breaker.stats();
    upstream.mayAnswer = until(() => breaker.stats().refused === refused + 38);
    return (await statuses(40, 40)).sort((a, b) => a - b);
  };

  console.log('The upstream is down');
  check('the first ten, one after the other', tally(await statuses(10, 1)), '502 × 10');
  check('200 more', tally(await statuses(200, 16)), '503 × 200');
  check('requests that reached the upstream', upstream.requests, 10);

  clock.advance('1s');
  console.log('openFor is over, but the upstream is still down');
  check('two of forty concurrent calls are trials', tally(await statusesOfTrials()), '502 × 2, 503 × 38');

  clock.advance('1s');
  console.log('The upstream has recovered');
  upstream.isHealthy = true;
  check('two of forty concurrent calls are trials', tally(await statusesOfTrials()), '200 × 2, 503 × 38');
  check('100 more', tally(await statuses(100, 8)), '200 × 100');

  await until(() => events.length === 5);
  check('events', events, ['open', 'halfOpen', 'open', 'halfOpen', 'close']);
  const { successes, failures, refused } = breaker.stats();
  check('succeeded, failed, refused', [successes, failures, refused], [102, 12, 276]);

  clock.restore();
  upstream.server.close();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
