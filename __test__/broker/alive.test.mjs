// What keeps a process or a thread alive, and that messages do not starve its timers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a script in a new process and returns its output. Fails unless the process exits by itself. */
function run(code) {
  const ended = spawnSync(process.execPath, ['-e', code], { cwd: ROOT, encoding: 'utf8', timeout: 300_000 });
  const { status, signal, stdout, stderr } = ended;
  assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' }, stdout);
  return stdout.trim();
}

/** A script for the main thread, in which `start()` starts the worker. */
const inWorker = (main, worker) => `
  const { isMainThread, Worker } = require('node:worker_threads');
  const { Broker } = require('.');
  const broker = new Broker('alive');
  const start = () => new Worker(${JSON.stringify(worker)}, { eval: true });
  const served = async (endpoint) => {
    while (!broker.endpoints().includes(endpoint)) await new Promise(setImmediate);
  };
  (async () => { ${main} })();`;

test('a broker alone does not keep a process alive', () => {
  run(`
    const { Broker } = require('.');
    const broker = new Broker('alive');
    broker.on('peerJoin', () => {});
    console.log(broker.id);`);
});

test('a broker alone does not keep a worker alive', () => {
  const worker = "const { Broker } = require('.'); new Broker('alive').on('peerLeave', () => {});";
  const printed = run(inWorker("start().on('exit', (code) => console.log(code));", worker));
  assert.equal(printed, '0');
});

test('a pending call keeps its thread alive until it settles', () => {
  const worker = `
    const { Broker } = require('.');
    new Broker('alive').handle('late', () => new Promise((resolve) => setTimeout(resolve, 300, 'answered')));`;
  const main = `
    start().unref();
    await served('late');
    console.log(await broker.call('late', null));`;
  assert.equal(run(inWorker(main, worker)), 'answered');
});

test('an unanswered call keeps its thread alive until its deadline', () => {
  const main = `
    broker.handle('never', () => new Promise(() => {}));
    broker.unref();
    await broker.call('never', null, { timeout: 200 }).catch(({ code }) => console.log(code));`;
  assert.equal(run(inWorker(main, '')), 'ERR_SLUICE_TIMEOUT');
});

test('a handler keeps its thread alive until the broker closes', () => {
  const worker = `
    const { Broker } = require('.');
    const broker = new Broker('alive');
    broker.handle('late', () => 'still here');
    broker.handle('close', () => void setImmediate(() => broker.close()));`;
  const main = `
    const worker = start();
    await served('close');
    await new Promise((resolve) => setTimeout(resolve, 300));
    console.log(await broker.call('late', null));
    worker.on('exit', (code) => console.log(code));
    await broker.call('close', null);`;
  assert.equal(run(inWorker(main, worker)), 'still here\n0');
});

test('timers run between the messages of a flood', () => {
  // The sender stays thousands of messages ahead: a receiver that drains its inbox until it is empty never returns.
  const worker = `
    const { workerData: received } = require('node:worker_threads');
    const { Broker } = require('.');
    const broker = new Broker('alive', { id: 'sender' });
    const flooded = () => broker.peers().some(({ id }) => id === 'flooded');
    (async () => {
      while (!flooded()) await new Promise(setImmediate);
      for (let sent = 0; sent < 50_000; sent += 50) {
        while (sent - Atomics.load(received, 0) > 4000) await new Promise(setImmediate);
        for (let message = 0; message < 50; message++) broker.send('flooded', message);
        await null;
      }
    })();`;
  const main = `
    const { Worker } = require('node:worker_threads');
    const { Broker } = require('.');
    const received = new Int32Array(new SharedArrayBuffer(4));
    const broker = new Broker('alive', { id: 'flooded' });
    let timers = 0;
    const tick = () => {
      if (received[0] > 0) timers += 1;
      if (received[0] < 50_000) return setTimeout(tick, 1);
      console.log(timers > 10 ? 'timers ran' : 'only ' + timers);
      broker.close();
    };
    broker.on('message', () => {
      const until = performance.now() + 0.005;
      while (performance.now() < until);
      Atomics.add(received, 0, 1);
    });
    tick();
    new Worker(${JSON.stringify(worker)}, { eval: true, workerData: received });`;
  assert.equal(run(main), 'timers ran');
});
