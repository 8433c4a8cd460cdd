'use strict';

// One worker thread: orders that need a call to an upstream, which allows 100 calls a second. All threads stand in one line.

const http = require('node:http');
const { parentPort, workerData } = require('node:worker_threads');
const { RateLimiter, listen } = require('sluice');

const TOKEN = 'token-1';
const upstream = new RateLimiter('upstream', { limit: 100, window: '1s', burst: 1 });

function askUpstream(signal) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: workerData.upstreamPort, agent: false, signal };
    const request = http.get(options, (response) => {
      response.resume();
      resolve(response);
    });
    request.once('error', reject);
  });
}

/** Calls the upstream when it is this call's turn, and again where it answers that it wants a pause. */
async function order(signal) {
  for (;;) {
    await upstream.acquire(TOKEN, { timeout: '20s', signal });
    const { statusCode, headers } = await askUpstream(signal);
    if (statusCode !== 429) return 'the order\n';
    // For every thread: calls that wait, wait until then.
    upstream.block(TOKEN, `${headers['retry-after']}s`);
  }
}

const server = http.createServer(async (_req, res) => {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  try {
    res.end(await order(gone.signal));
  } catch (error) {
    if (gone.signal.aborted) return;
    res.statusCode = 503;
    if (error.retryAfterMs) res.setHeader('Retry-After', Math.ceil(error.retryAfterMs / 1000));
    res.end();
  }
});

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
