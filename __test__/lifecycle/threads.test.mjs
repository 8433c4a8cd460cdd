// One lifecycle in many threads: all shut down together, no accepted request is lost, and threads that end or block do
// not hold up the others.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { threadId } from 'node:worker_threads';
import sluice from '../../index.js';
import { keepAliveAgent, read } from '../helpers/http.mjs';
import { freshName, runInAll, startPeers } from '../helpers/peer.mjs';
import { connect, until } from '../helpers/sockets.mjs';

const { Lifecycle } = sluice;

const host = '127.0.0.1';

const open = ({ load, state }, name) => {
  state.lifecycle = new (load().Lifecycle)(name);
};

/** Counts each request when it arrives and again when it is answered, some milliseconds later. */
const serve = async ({ load, require, state }, { port, counts }) => {
  const http = require('node:http');
  const server = http.createServer((req, res) => {
    const turn = Atomics.add(counts, 0, 1);
    setTimeout(() => {
      Atomics.add(counts, 1, 1);
      res.end(req.url);
    }, turn % 7);
  });
  state.lifecycle.attach(server);
  state.server = server;
  return (await load().listen(server, { port, host: '127.0.0.1' })).port;
};

/** Reports through words[0], then blocks the thread until words[1] is set. */
const block = (_, words) => {
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  Atomics.wait(words, 1, 0);
};

const shutdown = ({ state }, options) => state.lifecycle.shutdown(options);

async function shared(t, count) {
  const peers = startPeers(t, count);
  const name = freshName();
  await runInAll(peers, open, name);
  return { peers, lifecycle: new Lifecycle(name) };
}

async function serving(t, count) {
  const started = await shared(t, count);
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const [first, ...others] = started.peers;
  const port = await first.run(serve, { port: 0, counts });
  await runInAll(others, serve, { port, counts });
  return { ...started, counts, port };
}

/**
 * Sends requests over one keep-alive connection until one is refused. Returns how many were answered, and the last
 * outcome.
 */
async function client(t, port) {
  const agent = keepAliveAgent(t, { maxSockets: 1 });
  for (let answered = 0; ; answered++) {
    const path = `/${answered}`;
    try {
      const { status, text } = await read(http.get({ port, host, path, agent }));
      if (status !== 200) return { answered, end: status };
      assert.equal(text, path);
    } catch (error) {
      return { answered, end: error.code };
    }
  }
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

test('under load no accepted request is lost, and every later one is refused', async (t) => {
  const { peers, lifecycle, counts, port } = await serving(t, 3);
  lifecycle.ready();
  const clients = Array.from({ length: 40 }, () => client(t, port));
  await until(() => counts[0] > 400, true);
  const [report, ...peerReports] = await Promise.all([
    lifecycle.shutdown({ reason: 'a new version', timeout: '20s' }),
    ...peers.slice(1).map((peer) => peer.run(shutdown)),
  ]);
  const ended = await Promise.all(clients);
  const answered = sum(ended.map(({ answered }) => answered));
  assert.deepEqual([...counts], [answered, answered], 'received and answered');
  for (const { end } of ended) assert.ok([503, 'ECONNREFUSED', 'ECONNRESET'].includes(end), String(end));

  for (const peerReport of peerReports) assert.deepEqual(peerReport, report);
  const { drained, forced, tasksLeft, perThread, connectionsClosed } = report;
  assert.deepEqual({ drained, forced, tasksLeft }, { drained: true, forced: 0, tasksLeft: 0 });
  assert.equal(sum(Object.values(perThread).map((thread) => thread.connectionsClosed)), connectionsClosed);
  assert.ok(connectionsClosed >= 40, `${connectionsClosed} connections`);
  const ids = [threadId, ...peers.map((peer) => peer.threadId)].map(String);
  assert.deepEqual(Object.keys(perThread), ids);
  assert.deepEqual(await runInAll(peers, ({ state }) => state.lifecycle.state), Array(3).fill('stopped'));
  await assert.rejects(read(http.get({ port, host })), { code: 'ECONNREFUSED' });
});

test('a synchronous loop sees isCancelled at once, and the shutdown waits for its thread', async (t) => {
  const { peers, lifecycle } = await shared(t, 2);
  const turning = new Int32Array(new SharedArrayBuffer(4));
  const loops = peers.map((peer) =>
    peer.run(({ state }, turning) => {
      const child = state.lifecycle.child('loop');
      let turns = 0;
      while (!(turns % 2 ? state.lifecycle : child).isCancelled) {
        turns += 1;
        if (turns === 100) Atomics.add(turning, 0, 1);
      }
      return { turns, state: state.lifecycle.state, aborted: state.lifecycle.signal.aborted };
    }, turning),
  );
  while (Atomics.load(turning, 0) < peers.length) await new Promise((resolve) => setTimeout(resolve, 5));
  const { drained, perThread } = await lifecycle.shutdown({ timeout: '20s' });
  assert.equal(drained, true);
  assert.ok(Object.values(perThread).every(({ responded }) => responded));
  for (const { turns, state, aborted } of await Promise.all(loops)) {
    assert.ok(turns >= 100);
    assert.deepEqual([state, aborted], ['draining', true]);
  }
});

test('a blocked thread is given up after the deadline, and closes its servers when it resumes', async (t) => {
  const { peers, lifecycle, port } = await serving(t, 2);
  const [blocked, other] = peers;
  const words = new Int32Array(new SharedArrayBuffer(8));
  const blocking = blocked.run(block, words);
  await Atomics.waitAsync(words, 0, 0).value;
  const report = await other.run(shutdown, { timeout: '1s', hooksTimeout: '1h' });
  assert.deepEqual(await lifecycle.shutdown(), report);
  assert.deepEqual([report.drained, report.forced], [false, 0]);
  const responded = Object.entries(report.perThread).map(([id, thread]) => [Number(id), thread.responded]);
  assert.deepEqual(Object.fromEntries(responded), {
    [threadId]: true,
    [blocked.threadId]: false,
    [other.threadId]: true,
  });
  assert.ok(report.durationMs >= 1_000, `${report.durationMs} ms`);
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  await blocking;
  await blocked.run(async ({ state }) => {
    while (state.server.listening) await new Promise(setImmediate);
  });
  await assert.rejects(read(http.get({ port, host })), { code: 'ECONNREFUSED' });
});

test('threads that run hooks with when: drained have hooksTimeout, a blocked thread does not', async (t) => {
  const { peers, lifecycle } = await shared(t, 3);
  const [flushing, hanging, blocked] = peers;
  await flushing.run(({ state }) => {
    state.lifecycle.onShutdown(() => new Promise((resolve) => setTimeout(resolve, 2_200)), {
      name: 'flush',
      when: 'drained',
      timeout: '10s',
    });
  });
  await hanging.run(({ state }) => {
    state.lifecycle.onShutdown(() => new Promise(() => {}), { name: 'hang', when: 'drained', timeout: '1s' });
  });
  const words = new Int32Array(new SharedArrayBuffer(8));
  const blocking = blocked.run(block, words);
  await Atomics.waitAsync(words, 0, 0).value;
  const { drained, hooks, hooksMs, perThread } = await lifecycle.shutdown({
    timeout: '1s',
    hooksTimeout: '10s',
  });
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  await blocking;
  assert.equal(drained, false);
  assert.deepEqual(
    hooks.map(({ name, ok, error }) => [name, ok, error?.code]),
    [
      ['flush', true, undefined],
      ['hang', false, 'ERR_SLUICE_TIMEOUT'],
    ],
  );
  assert.equal(hooksMs, Math.max(...Object.values(perThread).map((thread) => thread.hooksMs)));
  const responded = peers.map((peer) => perThread[peer.threadId].responded);
  assert.deepEqual(responded, [true, true, false]);
});

test('a thread that ends during the shutdown is not waited for, and its work counts as left', async (t) => {
  const { peers, lifecycle } = await shared(t, 2);
  const [dying, idle] = peers;
  const port = await dying.run(async ({ require, state }) => {
    const server = require('node:http').createServer((_req, res) => res.write('never all'));
    state.lifecycle.attach(server);
    state.lifecycle.track(new Promise(() => {}));
    state.lifecycle.track(() => new Promise(() => {}));
    state.lifecycle.track(Promise.resolve());
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server.address().port;
  });
  const socket = await connect(t, { port, host });
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(socket, 'data');
  const { threadId: dyingId } = dying;
  const down = lifecycle.shutdown({ timeout: '1h' });
  await Promise.all([dying.end(), idle.end()]);
  const { drained, tasksLeft, forced, connectionsClosed, perThread } = await down;
  assert.deepEqual(
    { drained, tasksLeft, forced, connectionsClosed },
    { drained: false, tasksLeft: 2, forced: 1, connectionsClosed: 1 },
  );
  assert.equal(perThread[dyingId].responded, true);
  assert.equal(
    Object.values(perThread).filter((thread) => thread.drained).length,
    2,
    'the idle thread had no work',
  );
});

test('a thread that ended before the shutdown is not in the report', async (t) => {
  const { peers, lifecycle } = await shared(t, 2);
  const [gone, stays] = peers;
  await gone.run(({ state }) => {
    state.lifecycle.track(new Promise(() => {}));
  });
  await gone.end();
  const { drained, perThread } = await lifecycle.shutdown();
  assert.equal(drained, true);
  assert.deepEqual(Object.keys(perThread), [String(threadId), String(stays.threadId)]);
});

test('hooks run in every thread, and failures are reported per thread', async (t) => {
  const { peers, lifecycle } = await shared(t, 3);
  await Promise.all(
    peers.map((peer, index) =>
      peer.run(({ state }, index) => {
        state.lifecycle.onShutdown(
          async ({ reason }) => {
            state.reason = reason;
            if (index === 1) throw Object.assign(new RangeError('full'), { code: 'EFULL' });
          },
          { name: `hook of ${index}` },
        );
      }, index),
    ),
  );
  const { hooks, perThread } = await lifecycle.shutdown({ reason: 'done' });
  assert.deepEqual(
    hooks.map(({ name, ok, error }) => [name, ok, error?.name, error?.code]),
    [
      ['hook of 0', true, undefined, undefined],
      ['hook of 1', false, 'RangeError', 'EFULL'],
      ['hook of 2', true, undefined, undefined],
    ],
  );
  assert.equal(perThread[peers[1].threadId].hooks[0].error.message, 'full');
  assert.deepEqual(await runInAll(peers, ({ state }) => state.reason), Array(3).fill('done'));
});

test('signals abort in every thread, including those of children', async (t) => {
  const { peers, lifecycle } = await shared(t, 2);
  const listen = ({ state }) => {
    state.aborted = [];
    const record = (name, { signal }) =>
      signal.addEventListener('abort', () => state.aborted.push([name, signal.reason.code]));
    record('all', state.lifecycle);
    record('jobs', state.lifecycle.child('jobs'));
    record('mail', state.lifecycle.child('jobs').child('mail'));
  };
  const aborted = async ({ state }, count) => {
    while (state.aborted.length < count) await new Promise(setImmediate);
    return state.aborted;
  };
  await runInAll(peers, listen);
  assert.equal(await peers[0].run(({ state }) => state.lifecycle.child('jobs').cancel('enough')), true);
  assert.equal(lifecycle.child('jobs').child('mail').isCancelled, true);
  const code = 'ERR_SLUICE_SHUTTING_DOWN';
  for (const events of await runInAll(peers, aborted, 2)) {
    assert.deepEqual(events, [
      ['jobs', code],
      ['mail', code],
    ]);
  }
  await lifecycle.shutdown();
  for (const events of await runInAll(peers, aborted, 3)) assert.deepEqual(events[2], ['all', code]);
});

test('handleSignals is rejected outside the main thread', async (t) => {
  const { peers } = await shared(t, 1);
  const handle = peers[0].run(({ state }) => state.lifecycle.handleSignals());
  await assert.rejects(handle, {
    name: 'SluiceError',
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: 'handleSignals: Node delivers no signals to worker threads; accepted: a call in the main thread',
  });
});

test('shutdown waits for the work of the other threads', async (t) => {
  const { peers, lifecycle } = await shared(t, 2);
  await runInAll(peers, ({ state }) => {
    state.lifecycle.track(
      new Promise((resolve) => {
        state.finish = resolve;
      }),
    );
  });
  const down = lifecycle.shutdown({ timeout: '20s' });
  await peers[0].run(({ state }) => state.finish());
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(lifecycle.state, 'draining');
  await peers[1].run(({ state }) => state.finish());
  const { drained, tasksLeft } = await down;
  assert.deepEqual({ drained, tasksLeft }, { drained: true, tasksLeft: 0 });
});

test('a thread may join during a shutdown and is not in the report', async (t) => {
  const { peers, lifecycle } = await shared(t, 1);
  const [late] = startPeers(t, 1);
  let finish;
  lifecycle.track(
    new Promise((resolve) => {
      finish = resolve;
    }),
  );
  const down = lifecycle.shutdown({ timeout: '20s' });
  await late.run(open, lifecycle.name);
  const seen = await late.run(async ({ state }) => {
    const report = state.lifecycle.shutdown();
    state.report = report;
    return [state.lifecycle.state, state.lifecycle.signal.aborted];
  });
  assert.deepEqual(seen, ['draining', true]);
  finish();
  const report = await down;
  assert.deepEqual(await late.run(({ state }) => state.report), report);
  assert.deepEqual(Object.keys(report.perThread), [threadId, peers[0].threadId].map(String));
});
