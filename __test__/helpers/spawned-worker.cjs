'use strict';

// A worker of a group. workerData selects its endpoints and how it fails before it joins.

const { threadId, workerData } = require('node:worker_threads');
const { Broker } = require('../..');

const { name, serves = ['echo'], fails, stays = false, gate } = workerData;

const ENDS = {
  exit: () => process.exit(0),
  'exit with a code': () => process.exit(3),
  throw: () => {
    throw new Error('the worker ends with this');
  },
  'end quietly': () => broker.close(),
  'out of memory': () => {
    for (const kept = []; ; ) kept.push(new Array(10_000).fill(threadId));
  },
};

const ENDPOINTS = {
  echo: (payload) => payload,
  threadId: () => threadId,
  /** Counts the started call in gate[1] and answers once gate[0] is set. */
  wait: async () => {
    Atomics.add(gate, 1, 1);
    while (Atomics.load(gate, 0) === 0) await new Promise(setImmediate);
    return threadId;
  },
  end: (way) => {
    setImmediate(ENDS[way]);
  },
};

// Blocks before it joins.
if (gate?.[2] === 1) Atomics.wait(gate, 2, 1);
if (fails !== undefined) ENDS[fails]();
const broker = new Broker(name);
for (const endpoint of serves) broker.handle(endpoint, ENDPOINTS[endpoint]);
if (stays) setInterval(() => {}, 1000);
