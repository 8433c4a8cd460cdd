// A process of a fleet that opens connections when its parent says so. `{ call, args }` is answered by `{ result }`.
'use strict';

const http = require('node:http');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { ConnectionTracker } = require('../../index.js');
const { lease } = require('../../lib/connection-tracker/fleet.js');

const held = [];
const threads = [];
let tracker;

const calls = {
  async start({ name, options, leaseMs, threadCount = 0, ready = true }) {
    lease.ms = leaseMs;
    tracker = new ConnectionTracker(name, options);
    if (ready) await tracker.ready({ timeout: '30s' });
    for (let n = 0; n < threadCount; n++) {
      threads.push(new Worker(__filename, { workerData: { name, options, leaseMs } }));
    }
  },

  /** Asks for so many of each client at once; how many of each were opened. */
  async open(count, ...clients) {
    const opened = await Promise.all(
      clients.map((client) => Promise.all(Array.from({ length: count }, () => tracker.tryOpenAsync(client)))),
    );
    held.push(...opened.flat().filter(Boolean));
    return opened.map((all) => all.filter(Boolean).length);
  },

  closeAll() {
    for (const connection of held.splice(0)) connection.close();
  },

  stats: () => tracker.stats(),

  /** The same in each thread, at one time. */
  inThreads: (call, ...args) => Promise.all(threads.map((thread) => ask(thread, call, args))),

  /** Opens and closes for so long, at most so many at once; connections counted by `count` at a time, at most. */
  async churn({ port, forMs, client }) {
    const counter = new CommandCounter(port);
    const due = Date.now() + forMs;
    let most = 0;
    let admitted = 0;
    const one = async () => {
      while (Date.now() < due) {
        const connection = await tracker.tryOpenAsync(client);
        if (connection === null) continue;
        admitted += 1;
        most = Math.max(most, await counter.add(1));
        await counter.add(-1);
        connection.close();
      }
    };
    await Promise.all(Array.from({ length: 8 }, one));
    counter.end();
    return { most, admitted };
  },

  async serve() {
    const server = http.createServer((_req, res) => res.end('hello'));
    tracker.attach(server);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server.address().port;
  },
};

/** Adds to a number on the server: raised after a connection has opened, and lowered before it closes. */
class CommandCounter {
  #socket;
  #waiting = [];

  constructor(port) {
    this.#socket = require('node:net').connect(port, '127.0.0.1');
    this.#socket.on('data', (data) => {
      for (const [, number] of String(data).matchAll(/:(-?\d+)\r\n/g)) this.#waiting.shift()(Number(number));
    });
  }

  add(amount) {
    const text = String(amount);
    this.#socket.write(`*3\r\n$6\r\nINCRBY\r\n$4\r\nopen\r\n$${text.length}\r\n${text}\r\n`);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end() {
    this.#socket.end();
  }
}

function ask(port, call, args) {
  return new Promise((resolve, reject) => {
    port.once('message', ({ result, error }) =>
      error === undefined ? resolve(result) : reject(new Error(error)),
    );
    port.postMessage({ call, args });
  });
}

async function answer({ call, args }, reply) {
  try {
    reply({ result: await calls[call](...args) });
  } catch (error) {
    reply({ error: error?.stack ?? String(error) });
  }
}

if (isMainThread) {
  process.on('message', (message) => answer(message, (reply) => process.send(reply)));
} else {
  const { name, options, leaseMs } = workerData;
  lease.ms = leaseMs;
  tracker = new ConnectionTracker(name, options);
  parentPort.on('message', (message) => answer(message, (reply) => parentPort.postMessage(reply)));
}
