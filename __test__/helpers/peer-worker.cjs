'use strict';

// The thread of a Peer: runs the functions that it is sent, see peer.mjs.

const vm = require('node:vm');
const { parentPort } = require('node:worker_threads');

const { meet } = require('./gate.cjs');

const local = { load: () => require('../..'), meet, require, state: {} };

parentPort.on('message', async ({ id, body, data }) => {
  try {
    const run = vm.runInThisContext(`(${body})`);
    parentPort.postMessage({ id, value: await run(local, data) });
  } catch (error) {
    const { name, code, message } = error;
    parentPort.postMessage({ id, error: { name, code, message } });
  }
});
