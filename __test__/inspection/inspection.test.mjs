// Which thread serves the socket of a process, and what becomes of it when threads and processes end.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { root } from '../../scripts/addon.mjs';
import { freshFolder, Inspected, sluice, socketsIn, startServer } from '../helpers/inspected.mjs';
import { eventually } from '../helpers/shared-port.mjs';

const skip = process.platform === 'win32' && 'sockets are named pipes there';
const stateOf = ({ state }) => state.inspection.state;
const statesOf = (server, threads) => Promise.all(threads.map((thread) => server.run(thread, stateOf)));

test('four threads open one socket, which only the user can reach', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  assert.deepEqual(await statesOf(server, [0, 1, 2, 3]), ['serving', 'standby', 'standby', 'standby']);
  const [name, ...others] = socketsIn(server.folder);
  assert.deepEqual(others, []);
  assert.match(name, new RegExp(`^${server.pid}-[0-9a-f]{8}\\.sock$`));
  assert.equal(statSync(path.join(server.folder, name)).mode & 0o777, 0o600);
});

test('when the thread that serves is terminated, another takes over, and the socket is replaced', {
  skip,
}, async (t) => {
  const server = await startServer(t, { options: {} });
  const [first] = socketsIn(server.folder);
  await server.terminate(0);
  await eventually(async () => (await server.run(1, stateOf)) === 'serving');
  const [second, ...others] = socketsIn(server.folder);
  assert.deepEqual(others, []);
  assert.notEqual(second, first);
  const { status, stdout } = await sluice(['inspect', String(server.pid), '--json'], server);
  assert.equal(status, 0);
  assert.equal(JSON.parse(stdout).process.pid, server.pid);
});

test('close hands the socket on, and the last one removes it', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  const close = async ({ state }) => {
    await state.inspection.close();
    return [state.inspection.state, state.inspection.path];
  };
  for (const thread of [0, 1, 2]) {
    assert.deepEqual(await server.run(thread, close), ['closed', null]);
    await eventually(async () => (await server.run(thread + 1, stateOf)) === 'serving');
    assert.equal(socketsIn(server.folder).length, 1);
  }
  await server.run(3, close);
  assert.deepEqual(socketsIn(server.folder), []);
});

test('threads agree about actions', { skip }, async (t) => {
  const server = await startServer(t, { options: { actions: true } });
  const differs = server.run(1, ({ load }) => load().inspect());
  await assert.rejects(differs, {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message:
      'inspect actions is false, and true in another call of this process; accepted: the same in all threads',
  });
  const misspelt = server.run(1, ({ load }) => load().inspect({ action: true }));
  await assert.rejects(misspelt, { code: 'ERR_SLUICE_INVALID_OPTION' });
  const { stdout } = await sluice(['inspect', '--json'], server);
  assert.equal(JSON.parse(stdout).readOnly, false);
});

test('a process that exits, or ends by itself, leaves no socket', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  assert.equal(socketsIn(server.folder).length, 1);
  await server.exit();
  assert.deepEqual(socketsIn(server.folder), []);

  const folder = freshFolder(t);
  const program = `
    const inspection = require(${JSON.stringify(root)}).inspect();
    const keeps = setInterval(() => {}, 1000);
    inspection.ready().then((state) => {
      console.log(state, inspection.path.startsWith(${JSON.stringify(folder)}));
      clearInterval(keeps);
    });`;
  const env = { ...process.env, SLUICE_INSPECT_DIR: folder };
  for (const end of ['', "process.on('beforeExit', () => process.exit(3));"]) {
    const { status, stdout } = spawnSync(process.execPath, ['-e', program + end], { env, encoding: 'utf8' });
    assert.deepEqual([status, stdout], [end === '' ? 0 : 3, 'serving true\n']);
    assert.deepEqual(socketsIn(folder), []);
  }
});

test('an open stream keeps no process running', { skip }, async (t) => {
  const folder = freshFolder(t);
  const server = new Inspected(folder);
  t.after(() => server.kill());
  await server.start();
  const open = async ({ load, state }) => {
    state.inspection = load().inspect();
    await state.inspection.ready();
    return state.inspection.path;
  };
  const socketPath = await server.run(0, open);
  const request = http.get({ socketPath, path: '/events', agent: false });
  request.on('error', () => {});
  const [response] = await once(request, 'response');
  response.on('error', () => {});
  const ended = new Promise((resolve) => response.once('close', resolve));
  await once(response, 'data');
  // From here on nothing but the socket and the stream are open.
  await server.run(0, ({ require }) => void require('node:worker_threads').parentPort.unref());
  response.resume();
  await ended;
  assert.deepEqual(socketsIn(folder), []);
});

test('sockets that killed processes have left are removed by the next one, others stay', {
  skip,
}, async (t) => {
  const folder = freshFolder(t);
  const killed = await startServer(t, { folder, options: {} });
  await killed.kill();
  assert.equal(socketsIn(folder).length, 1);
  const running = await startServer(t, { folder, options: {} });
  await eventually(() => Date.now() - statSync(path.join(folder, socketsIn(folder)[0])).mtimeMs > 1_000);
  writeFileSync(path.join(folder, `${killed.pid}-00000000.sock`), 'no socket');
  const next = await startServer(t, { folder, options: {} });
  const pids = socketsIn(folder).map((name) => Number(name.split('-')[0]));
  assert.deepEqual(pids.sort(), [killed.pid, running.pid, next.pid].sort(), 'the file, and two sockets');
  assert.ok(existsSync(path.join(folder, `${killed.pid}-00000000.sock`)));
});

test('SLUICE_INSPECT=1 opens the socket of a process that loads any part of the package', {
  skip,
}, async (t) => {
  const folder = freshFolder(t);
  const server = new Inspected(folder, { SLUICE_INSPECT: '1' });
  t.after(() => server.kill());
  await server.start();
  await server.run(0, ({ require }) => {
    require('../../lib/express.js')({ name: 'shop', rateLimit: { limit: 1, window: '1m' } });
  });
  await eventually(() => socketsIn(folder).length === 1);
  const { stdout } = await sluice(['inspect', '--json'], { folder });
  const { readOnly, guards } = JSON.parse(stdout);
  assert.deepEqual([readOnly, guards.map(({ name }) => name)], [true, ['shop']]);

  // A line of code goes before the environment: actions are its decision.
  await server.run(0, async ({ load, state }) => {
    state.inspection = load().inspect({ actions: true });
    return state.inspection.ready();
  });
  await eventually(async () => {
    const { stdout: now } = await sluice(['inspect', '--json'], { folder });
    return now !== '' && JSON.parse(now).readOnly === false;
  });
  await eventually(() => socketsIn(folder).length === 1);
});

test('another value of SLUICE_INSPECT is warned of, and opens nothing', { skip }, async (t) => {
  const folder = freshFolder(t);
  const server = new Inspected(folder, { SLUICE_INSPECT: 'yes' });
  t.after(() => server.kill());
  await server.start();
  await server.run(0, ({ load }) => void load());
  await eventually(() => /SLUICE_INSPECT is "yes"; accepted: 1/.test(server.stderr));
  assert.deepEqual(readdirSync(folder), []);
});

test('requests are bounded', { skip }, async (t) => {
  const server = await startServer(t, { options: { actions: true } });
  const file = path.join(server.folder, socketsIn(server.folder)[0]);
  const answerTo = (text) =>
    new Promise((resolve) => {
      let answer = '';
      const socket = net.connect(file, () => socket.write(text));
      socket.setEncoding('latin1').on('data', (chunk) => {
        answer += chunk;
      });
      socket.on('error', () => {});
      socket.once('close', () => resolve(answer.split('\r\n')[0]));
    });
  const head = (more) => `POST /action HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${more}\r\n`;
  assert.match(await answerTo(head(`X: ${'x'.repeat(9_000)}\r\n`)), /^HTTP\/1\.1 431 /);
  assert.match(await answerTo(head('Content-Type: application/json\r\n')), / 403 /, 'without the header');
  const own = 'Content-Type: application/json\r\nX-Sluice-Dashboard: 1\r\nSec-Fetch-Site: same-origin\r\n';
  assert.match(await answerTo(head(`${own}Content-Length: 20000\r\n`)), / 413 /);
  const open = Array.from({ length: 40 }, () => net.connect(file));
  t.after(() => open.forEach((socket) => void socket.destroy()));
  for (const socket of open) socket.on('error', () => {});
  const dropped = open.map((socket) => once(socket.resume(), 'close'));
  await Promise.any(dropped);
});
