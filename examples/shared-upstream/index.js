'use strict';

// Four worker threads share the quota of an upstream: they wait for their turn instead of being refused. Once, the upstream
// answers 429: then all of them pause.

const http = require('node:http');
const { RateLimiter } = require('sluice');
const { ask, check, repeat, startWorkers, tally, until } = require('../stage');

/** A millisecond for the rounding of timers. */
const PAUSE_MS = 1000 - 1;

/** An upstream that asks for a pause of a second with its 40th answer. */
async function startUpstream() {
  const upstream = { requests: 0, refused: 0, longestPause: 0 };
  let last = performance.now();
  const server = http.createServer((_req, res) => {
    const now = performance.now();
    upstream.longestPause = Math.max(upstream.longestPause, now - last);
    last = now;
    upstream.requests += 1;
    if (upstream.requests === 40) {
      upstream.refused += 1;
      res.statusCode = 429;
      res.setHeader('Retry-After', 1);
    }
    res.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(upstream, { port: server.address().port, server });
}

async function main() {
  const upstream = await startUpstream();
  const workerData = { upstreamPort: upstream.port };
  const { workers, port } = await startWorkers(require.resolve('./server'), 4, { workerData });
  const limiter = new RateLimiter('upstream');

  console.log('A hundred orders at once, for an upstream that takes a hundred calls a second');
  const begun = performance.now();
  const answers = await repeat(100, 100, () => ask(port, '/'));
  const tookMs = performance.now() - begun;
  check('answers', tally(answers.map(({ status }) => status)), '200 × 100');
  check('requests that reached the upstream', upstream.requests, 101);
  check('of them answered with 429', upstream.refused, 1);
  check('charged by the limiter', limiter.stats().allowed, 101);
  check('took at least the pause and 99 hundredths of a second', tookMs >= PAUSE_MS + 990, true);
  check('nothing came during the pause', upstream.longestPause >= PAUSE_MS / 2, true);

  console.log('Clients that leave during another pause give their turn to others');
  limiter.block('token-1', '10s');
  const leaving = Array.from({ length: 50 }, () => {
    const request = http.get({ host: '127.0.0.1', port, agent: false });
    request.once('error', () => {});
    return request;
  });
  await until(() => limiter.stats().waiting === 50);
  check('orders that wait', limiter.stats().waiting, 50);
  for (const request of leaving) request.destroy();
  await until(() => limiter.stats().waiting === 0);
  check('orders that wait once their clients have left', limiter.stats().waiting, 0);
  limiter.reset('token-1');
  check('the next order', (await ask(port, '/')).status, 200);

  upstream.server.close();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
