// listen in cluster workers: the workers of a primary and their threads share one port.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import nodeTest from 'node:test';
import { forkAll, startCluster } from '../helpers/cluster.mjs';
import { silentListening } from '../helpers/runtimes.mjs';
import { ask, assertRefused, distinctAnswers, eventually, freePort, host } from '../helpers/shared-port.mjs';
import { readAll } from '../helpers/sockets.mjs';

const skip = process.platform !== 'linux' && 'cluster workers share sockets on Linux only';
const test = (name, body) => nodeTest(name, { skip }, body);

/** Runs in a main thread: a server that answers with its process and thread. */
const serve = async ({ load, require, state }, options) => {
  state.server = require('node:http').createServer((req, res) => {
    res.setHeader('Connection', 'close');
    if (req.url === '/slow') state.finish = () => res.end('slow');
    else res.end(`${process.pid}:0`);
  });
  return (await load().listen(state.server, options)).port;
};

/** Runs in a main thread: starts the thread `state.peer` with a server that answers with its process and thread. */
const serveInThread = async ({ newPeer, state }, options) => {
  state.peer ??= await newPeer();
  return state.peer.run(async ({ load, require, state }, options) => {
    const { threadId } = require('node:worker_threads');
    state.server = require('node:http').createServer((_req, res) => {
      res.setHeader('Connection', 'close').end(`${process.pid}:${threadId}`);
    });
    return (await load().listen(state.server, options)).port;
  }, options);
};

const close = ({ state }) => void state.server.close();
const closeInThread = ({ state }) => state.peer.run(({ state }) => void state.server.close());
const hasRequest = ({ state }) => state.finish !== undefined;

const askOften = (port, count) => Promise.all(Array.from({ length: count }, () => ask(port)));

for (const policy of ['rr', 'none']) {
  for (const given of ['a port', 'port 0']) {
    test(`scheduling "${policy}": two workers and their threads share ${given}`, async (t) => {
      const [first, second] = await forkAll(startCluster(t, policy), 2);
      const options = { port: given === 'port 0' ? 0 : await freePort(), host };
      const ports = await Promise.all([
        first.run(serve, options),
        first.run(serveInThread, options),
        second.run(serve, options),
        second.run(serveInThread, options),
      ]);
      const [port] = ports;
      assert.deepEqual(ports, [port, port, port, port]);
      assert.equal(options.port === 0 ? port > 0 : port === options.port, true);
      assert.equal((await distinctAnswers(4, () => ask(port))).size, 4, 'each thread is given connections');
      // The last server left answers every request.
      await first.run(close);
      await first.run(closeInThread);
      await second.run(close);
      const [last] = new Set(await askOften(port, 10));
      assert.match(last, new RegExp(`^${second.pid}:[1-9]`));
      await second.run(closeInThread);
      await assertRefused(port);
      assert.equal(await first.run(serve, { port, host }), port, 'the port can be used again');
    });
  }
}

test('threads share a port across workers whose main threads do not load the library', async (t) => {
  const workers = await forkAll(startCluster(t), 2);
  const ports = await Promise.all(workers.map((worker) => worker.run(serveInThread, { port: 0, host })));
  assert.equal(ports[0], ports[1]);
  assert.equal((await distinctAnswers(2, () => ask(ports[0]))).size, 2);
});

test('the n-th servers on port 0 of all workers share a port', async (t) => {
  const [first, second] = await forkAll(startCluster(t), 2);
  const ports = async (worker) => [
    await worker.run(serve, { port: 0, host }),
    await worker.run(serve, { port: 0, host }),
  ];
  const [one, other] = await ports(first);
  assert.notEqual(one, other);
  assert.deepEqual(await ports(second), [one, other]);
});

test('workers that listen concurrently open one port', async (t) => {
  const workers = await forkAll(startCluster(t), 6);
  const ports = await Promise.all(workers.map((worker) => worker.run(serve, { port: 0, host })));
  assert.deepEqual(ports, Array(6).fill(ports[0]));
});

test('when the worker that opened the port is killed, the others serve and a new worker joins', async (t) => {
  const cluster = startCluster(t);
  const [first, second] = await forkAll(cluster, 2);
  const port = await first.run(serve, { port: 0, host });
  assert.equal(await second.run(serve, { port: 0, host }), port);
  first.kill('SIGKILL');
  assert.equal(await first.exited(), 'SIGKILL');
  assert.deepEqual(new Set(await askOften(port, 50)), new Set([`${second.pid}:0`]));
  const third = await cluster.fork();
  assert.equal(await third.run(serve, { port: 0, host }), port);
  second.kill('SIGKILL');
  await second.exited();
  assert.deepEqual(new Set(await askOften(port, 50)), new Set([`${third.pid}:0`]));
});

test('when a thread is terminated, the other threads and workers serve', async (t) => {
  const [first, second] = await forkAll(startCluster(t), 2);
  const port = await first.run(serveInThread, { port: 0, host });
  assert.equal(await second.run(serveInThread, { port: 0, host }), port);
  await first.run(({ state }) => state.peer.end());
  assert.equal(new Set(await askOften(port, 50)).size, 1);
  assert.match(await ask(port), new RegExp(`^${second.pid}:`));
  await second.run(({ state }) => state.peer.end());
  await assertRefused(port);
});

test('a port of another process, or of a worker of another primary, is EADDRINUSE', async (t) => {
  const [worker] = await forkAll(startCluster(t), 1);
  const [other] = await forkAll(startCluster(t), 1);
  const port = await other.run(serve, { port: 0, host });
  const inUse = { code: 'EADDRINUSE', message: `listen EADDRINUSE: address already in use ${host}:${port}` };
  await assert.rejects(worker.run(serve, { port, host }), inUse);
  await assert.rejects(worker.run(serveInThread, { port, host }), inUse);
  assert.notEqual(await worker.run(serve, { port: 0, host }), port);
  assert.equal(await ask(port), `${other.pid}:0`);
  const twice = { code: 'EADDRINUSE' };
  await assert.rejects(other.run(serve, { port, host }), twice, 'one thread cannot listen twice');
});

test('the primary gets one listening event per worker, also when only its threads listen', {
  skip: silentListening,
}, async (t) => {
  const cluster = startCluster(t);
  const [first, second] = await forkAll(cluster, 2);
  const port = await first.run(serve, { port: 0, host });
  await first.run(serveInThread, { port: 0, host });
  await second.run(({ load }) => void load());
  await second.run(serveInThread, { port: 0, host });
  const listeningEvents = ({ state }) => state.listening;
  await eventually(async () => (await cluster.inPrimary(listeningEvents)).length === 2);
  const expected = [1, 2].map((id) => ({ id, address: host, addressType: 4, port }));
  const byId = (a, b) => a.id - b.id;
  assert.deepEqual((await cluster.inPrimary(listeningEvents)).sort(byId), expected);
});

test('a worker that disconnects closes the servers of all its threads, answers pending requests and exits', async (t) => {
  const cluster = startCluster(t);
  const [worker] = await forkAll(cluster, 1);
  const port = await worker.run(serve, { port: 0, host });
  const inFlight = ask(port, '/slow');
  await eventually(() => worker.run(hasRequest));
  assert.equal(await worker.run(serveInThread, { port, host }), port);
  // From now on only its server keeps the thread alive.
  await worker.run(({ state }) =>
    state.peer.run(({ require }) => require('node:worker_threads').parentPort.unref()),
  );
  await worker.run(({ cluster, state }) => {
    cluster.worker.once('disconnect', () => setImmediate(state.finish));
  });
  await cluster.inPrimary(({ state }) => state.workers[0].disconnect());
  assert.equal(await inFlight, 'slow');
  assert.equal(await worker.exited(), 0);
  await assertRefused(port);
});

const isUnanswered = (answer) => !/^HTTP\/1\.1 (200|503)/.test(answer);

/** Runs in a main thread: `state.blockUntil(file)` blocks it until the file exists, and says so by a file of its process. */
const prepareBlock = ({ require, state }) => {
  const { existsSync, writeFileSync } = require('node:fs');
  state.blockUntil = (file) => {
    writeFileSync(`${file}.${process.pid}`, '');
    while (!existsSync(file));
  };
};

/** Waits until the main thread of a worker is blocked until the file exists: from then on it accepts nothing. */
const isBlocked = ({ pid }, file) => eventually(() => fs.existsSync(`${file}.${pid}`));

test('a worker that shuts down leaves the listen queue to the other workers', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const [releaseFirst, releaseSecond] = ['first', 'second'].map((name) => path.join(directory, name));
  const [first, second] = await forkAll(startCluster(t), 2);
  const port = await first.run(serve, { port: 0, host });
  assert.equal(await second.run(serve, { port: 0, host }), port);
  await first.run(({ load, state }) => {
    state.lifecycle = new (load().Lifecycle)('app').attach(state.server).ready();
  });
  for (const worker of [first, second]) await worker.run(prepareBlock);
  const shutDown = first.run(({ state }, file) => {
    state.blockUntil(file);
    return state.lifecycle.shutdown({ timeout: '10s' });
  }, releaseFirst);
  const unblocked = second.run(({ state }, file) => state.blockUntil(file), releaseSecond);
  await isBlocked(first, releaseFirst);
  await isBlocked(second, releaseSecond);
  const clients = Array.from({ length: 20 }, () => net.connect(port, host));
  await Promise.all(clients.map((socket) => once(socket, 'connect')));
  for (const socket of clients) socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  fs.writeFileSync(releaseFirst, '');
  const { drained } = await shutDown;
  fs.writeFileSync(releaseSecond, '');
  await unblocked;
  const answers = await Promise.all(clients.map(readAll));
  const isServed = (answer) => answer.endsWith(`\r\n\r\n${second.pid}:0`);
  // Until the shutdown reaches its server, the first worker may accept a few.
  assert.ok(answers.filter(isServed).length >= 15, answers.join('\n'));
  assert.deepEqual(answers.filter(isUnanswered), []);
  assert.equal(drained, true);
});

test('when all workers shut down together, every connection in the listen queue gets an answer', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const release = path.join(directory, 'release');
  const workers = await forkAll(startCluster(t), 2);
  const [port] = await Promise.all(workers.map((worker) => worker.run(serve, { port: 0, host })));
  for (const worker of workers) await worker.run(prepareBlock);
  const shutDown = workers.map((worker) =>
    worker.run(({ load, state }, file) => {
      const lifecycle = new (load().Lifecycle)('app').attach(state.server).ready();
      state.blockUntil(file);
      return lifecycle.shutdown({ timeout: '10s' });
    }, release),
  );
  for (const worker of workers) await isBlocked(worker, release);
  const clients = Array.from({ length: 20 }, () => net.connect(port, host));
  await Promise.all(clients.map((socket) => once(socket, 'connect')));
  for (const socket of clients) socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  fs.writeFileSync(release, '');
  const answers = await Promise.all(clients.map(readAll));
  assert.deepEqual(answers.filter(isUnanswered), []);
  assert.deepEqual(
    (await Promise.all(shutDown)).map(({ drained }) => drained),
    [true, true],
  );
});

test('a worker that shuts down on a signal completes its hooks after its primary has ended', async (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const [begun, ended] = ['begun', 'ended'].map((name) => path.join(directory, name));
  const cluster = startCluster(t);
  const worker = await cluster.fork();
  await worker.run(
    ({ load, require }, { begun, ended }) => {
      const { writeFileSync } = require('node:fs');
      const isAlone = new Promise((resolve) => process.once('disconnect', resolve));
      const lifecycle = new (load().Lifecycle)('app').ready();
      lifecycle.onShutdown(async () => {
        writeFileSync(begun, '');
        await isAlone;
        await new Promise(setImmediate);
        writeFileSync(ended, '');
      });
      lifecycle.handleSignals();
    },
    { begun, ended },
  );
  worker.kill('SIGTERM');
  await eventually(() => fs.existsSync(begun));
  await cluster.end();
  await eventually(() => fs.existsSync(ended));
  await eventually(() => !fs.existsSync(`/proc/${worker.pid}`));
});

test('without shared sockets the primary owns the port, and listen rejects in threads', async (t) => {
  const cluster = startCluster(t);
  const workers = await forkAll(cluster, 2);
  const withoutSharing = ({ load, require }) => {
    require('../../binding.cjs').sharesWithClusterWorkers = () => false;
    load();
  };
  for (const worker of workers) await worker.run(withoutSharing);
  const ports = await Promise.all(workers.map((worker) => worker.run(serve, { port: 0, host })));
  assert.equal(ports[0], ports[1]);
  assert.equal((await distinctAnswers(2, () => ask(ports[0]))).size, 2);
  await assert.rejects(workers[0].run(serveInThread, { port: ports[0], host }), {
    name: 'SluiceError',
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /only the main thread of a cluster worker can listen; accepted: a call there/,
  });
});
