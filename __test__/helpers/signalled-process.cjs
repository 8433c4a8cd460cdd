'use strict';

// A server in two threads that shuts down on signals and prints its states. `work` selects the pending work. With
// `stopsClock` the clock of the library stands still.

const { writeSync } = require('node:fs');
const { isMainThread, Worker, parentPort, workerData } = require('node:worker_threads');
const http = require('node:http');
const { Lifecycle } = require('../..');
const { manualClock } = require('../../lib/testing.js');

const { name, work, options, stopsClock = false } = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const lifecycle = new Lifecycle(name);
const server = http.createServer((_req, res) => res.end('ok'));

function hold() {
  if (work === 'some') lifecycle.track(new Promise((resolve) => setTimeout(resolve, 50)));
  if (work === 'endless') lifecycle.track(new Promise(() => {}));
  if (work === 'flush') {
    lifecycle.track(new Promise(() => {}));
    const flush = () => new Promise((resolve) => setTimeout(resolve, 1_000));
    lifecycle.onShutdown(() => flush().then(() => writeSync(1, 'flushed\n')), {
      when: 'drained',
      timeout: '1m',
    });
  }
  if (work === 'failing hook') {
    lifecycle.onShutdown(() => {
      throw new Error('no');
    });
  }
}

function main() {
  if (stopsClock) manualClock();
  // In both threads: one that has finished gives the other up half a second after the deadline.
  if (work === 'flush') hold();
  const uninstall = lifecycle.handleSignals(options);
  lifecycle.on('change', ({ state }) => console.log(state));
  new Worker(__filename, { workerData: { name, work } }).once('message', () => lifecycle.ready());
  if (work === 'uninstalled') uninstall();
  if (options?.exit === false) {
    lifecycle.signal.addEventListener('abort', async () => {
      const { reason, drained, perThread } = await lifecycle.shutdown();
      console.log(JSON.stringify({ reason, drained, threads: Object.keys(perThread).length }));
    });
  }
}

function worker() {
  hold();
  parentPort.postMessage('serving');
}

lifecycle.attach(server);
server.listen(0, '127.0.0.1', isMainThread ? main : worker);
