'use strict';

// What every example needs and none is about: threads that serve, a client, and a look at the totals.

const http = require('node:http');
const { Worker } = require('node:worker_threads');

/**
 * Runs `file` in `count` worker threads. Each posts `{ port }`, or whatever else it wants to tell, once it serves.
 * Where they share their ports one answer stands for all; `told` has each. `options` are those of
 * the threads.
 */
async function startWorkers(file, count, options) {
  const workers = Array.from({ length: count }, () => new Worker(file, options));
  const told = await Promise.all(
    workers.map(
      (worker) =>
        new Promise((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  return { workers, told, ...told[0] };
}

/**
 * One request, over a connection of its own: so any of the threads may serve it; or over the agent's. `from` is a
 * loopback address, as of a client of its own.
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

/** Runs `make(0)`, `make(1)`, … `times` in all, `together` at once; the results in their order. */
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

/** How often each value comes, as text: `401 × 5, 429 × 45`. */
function tally(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => `${value} × ${count}`).join(', ');
}

/** Prints what was found. What is not as expected makes the example end with 1. */
function check(what, found, expected) {
  const isRight = String(found) === String(expected);
  console.log(`${isRight ? '✓' : '✗'} ${what}: ${found}${isRight ? '' : `, expected ${expected}`}`);
  if (!isRight) process.exitCode = 1;
}

/** Waits for what another thread does in its own time, a few seconds at most. */
async function until(condition) {
  for (let turn = 0; !condition() && turn < 1000; turn++) await new Promise((done) => setTimeout(done, 5));
}

module.exports = { ask, check, repeat, startWorkers, tally, until };
