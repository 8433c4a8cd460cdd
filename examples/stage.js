'use strict';

// Shared by all examples: starting threads, an HTTP client, and checks of totals.

const http = require('node:http');
const { Worker } = require('node:worker_threads');

/**
 * Runs `file` in `count` worker threads with the `options` of a `Worker`. Each posts `{ port }`, or an object with more,
 * once it serves. Resolves with the workers, all messages in `servers`, and the fields of the first message, as threads
 * usually share their ports.
 */
async function startWorkers(file, count, options) {
  const workers = Array.from({ length: count }, () => new Worker(file, options));
  const servers = await Promise.all(
    workers.map(
      (worker) =>
        new Promise((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  return { workers, servers, ...servers[0] };
}

/**
 * Sends one request, over a new connection, so that any thread may serve it, or through `agent`. `from` is the loopback
 * address that stands for the client.
 */
function ask(port, path, { method = 'GET', headers = {}, body, from, agent = false } = {}) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, headers, agent, localAddress: from };
    const request = http.request(options, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode, headers: response.headers, text });
    });
    request.once('error', reject);
    request.end(body);
  });
}

/** Calls `make(0)`, `make(1)`, … `times` in total, `together` concurrently. Resolves with the results in order. */
async function repeat(times, together, make) {
  const results = [];
  let next = 0;
  const lane = async () => {
    while (next < times) {
      const turn = next++;
      results[turn] = await make(turn);
    }
  };
  await Promise.all(Array.from({ length: together }, lane));
  return results;
}

/** How often each value occurs, as text: `401 × 5, 429 × 45`. */
function tally(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => `${value} × ${count}`).join(', ');
}

/** Prints what was found. An unexpected value makes the example exit with code 1. */
function check(what, found, expected) {
  const isRight = String(found) === String(expected);
  console.log(`${isRight ? '✓' : '✗'} ${what}: ${found}${isRight ? '' : `, expected ${expected}`}`);
  if (!isRight) process.exitCode = 1;
}

/** Polls until another thread has brought `condition` about, for a few seconds at most. */
async function until(condition) {
  for (let turn = 0; !condition() && turn < 1000; turn++) await new Promise((done) => setTimeout(done, 5));
}

module.exports = { ask, check, repeat, startWorkers, tally, until };
