'use strict';

// A primary or one of its workers. Runs the functions that the test sends as text, and replies with their results.

const cluster = require('node:cluster');
const path = require('node:path');
const vm = require('node:vm');

const state = {};
const local = { cluster, load: () => require('../../index.js'), newPeer, require, state };

if (cluster.isPrimary) runPrimary();
else process.on('message', async (message) => process.send(await answer(message)));

function runPrimary() {
  cluster.setupPrimary({ exec: __filename });
  state.listening = [];
  state.workers = [];
  cluster.on('listening', ({ id }, { address, addressType, port }) => {
    state.listening.push({ id, address, addressType, port });
  });
  cluster.on('message', (_worker, reply) => process.send(reply));
  process.on('message', async (message) => {
    if (message.worker === undefined) process.send(await answer(message));
    else state.workers[message.worker].send(message);
  });
}

async function answer({ id, body, data }) {
  try {
    return { id, value: await vm.runInThisContext(`(${body})`)(local, data) };
  } catch ({ name, code, message }) {
    return { id, error: { name, code, message } };
  }
}

/** A thread of this process that runs functions. */
async function newPeer() {
  const { Peer } = await import(`file://${path.join(__dirname, 'peer.mjs')}`);
  return new Peer();
}
