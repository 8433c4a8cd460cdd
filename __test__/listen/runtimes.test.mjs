// listen in Node, Bun and Deno: it resolves with a port that answers, or rejects.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { selfSigned } from '../helpers/certificate.mjs';
import { forkAll, startCluster } from '../helpers/cluster.mjs';
import { runtime } from '../helpers/runtimes.mjs';
import { distinctAnswers } from '../helpers/shared-port.mjs';
import { readAll } from '../helpers/sockets.mjs';

const FILE = fileURLToPath(new URL('../helpers/listening-process.cjs', import.meta.url));
const CERTIFICATE = JSON.stringify(selfSigned());
const host = '127.0.0.1';

/** `next()` resolves with its next line of output; `end()` makes it close and resolves with its exit code. */
function start(t, { execPath, flags }, ...args) {
  const child = spawn(execPath, [...flags, FILE, ...args], {
    env: { ...process.env, CERTIFICATE },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  return {
    next: async () => JSON.parse((await lines.next()).value),
    async end() {
      child.stdin.end();
      return (await exited)[0];
    },
  };
}

async function getText(url, options = {}) {
  const { get } = url.startsWith('https') ? https : http;
  const [response] = await once(get(url, { agent: false, ...options }), 'response');
  return readAll(response);
}

async function getOverHttp2(port) {
  const session = http2.connect(`http://${host}:${port}`);
  const answer = await readAll(session.request({ ':path': '/' }));
  session.close();
  return answer;
}

const overTls = (port) => getText(`https://${host}:${port}/`, { rejectUnauthorized: false });

/** The answer has the port and address of the server and the address of the client. Returns the thread id. */
async function assertAnswers(port, answer) {
  const { thread, ...seen } = JSON.parse(answer);
  assert.deepEqual(seen, { address: host, port, client: host });
  return thread;
}

const ANSWERS = {
  http: async (port) => assertAnswers(port, await getText(`http://${host}:${port}/`)),
  net: async (port) => assert.equal(await readAll(net.connect(port, host)), 'net'),
  http2: async (port) => assert.equal(await getOverHttp2(port), 'http2'),
  express: async (port) => assert.equal(await getText(`http://${host}:${port}/`), 'express'),
  fastify: async (port) => assert.equal(await getText(`http://${host}:${port}/`), 'fastify'),
  tls: async (port) => assert.equal(await overTls(port), 'tls'),
};

for (const name of ['node', 'bun', 'deno']) {
  const current = runtime(name);
  const { skip } = current;

  for (const [what, assertIsAnswered] of Object.entries(ANSWERS)) {
    test(`${name}: a server of ${what} answers on the port that listen resolves with`, {
      skip,
    }, async (t) => {
      const served = start(t, current, what);
      const { port, address, ...rest } = await served.next();
      assert.deepEqual(rest, { listening: true, listened: 1, twice: 'ERR_SERVER_ALREADY_LISTEN' });
      assert.deepEqual({ ...address }, { address: host, family: 'IPv4', port });
      await assertIsAnswered(port);
      const exited = served.end();
      assert.deepEqual(await served.next(), { closed: true, isSame: true, listening: false });
      assert.equal(await exited, 0);
      await assert.rejects(once(net.connect(port, host), 'connect'), { code: 'ECONNREFUSED' });
    });
  }

  test(`${name}: an https server answers, or listen rejects with the alternative`, { skip }, async (t) => {
    const served = start(t, current, 'https');
    const { port, ...rest } = await served.next();
    if (name === 'bun') {
      assert.equal(rest.code, 'ERR_SLUICE_UNSUPPORTED');
      assert.match(
        rest.message,
        /cannot share the port of an https server.*; accepted: listen\(tls\.createServer/,
      );
    } else {
      await assertAnswers(port, await overTls(port));
    }
    assert.equal(await served.end(), 0);
  });

  test(`${name}: threads share a port`, { skip }, async (t) => {
    const served = start(t, current, 'threads', '3');
    const started = await served.next();
    const { port } = started[0];
    assert.deepEqual(started, Array(3).fill(started[0]));
    const threads = await distinctAnswers(3, async () => {
      return assertAnswers(port, await getText(`http://${host}:${port}/`));
    });
    assert.equal(threads.size, 3);
    assert.equal(await served.end(), 0);
  });

  test(`${name}: a closing server completes requests in flight and closes idle connections`, {
    skip,
  }, async (t) => {
    const served = start(t, current, 'http');
    const { port } = await served.next();
    const idle = net.connect(port, host);
    idle.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(idle, 'data');
    const slow = net.connect(port, host);
    const slowAnswer = readAll(slow);
    slow.write('GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await ANSWERS.http(port);
    const exited = served.end();
    await once(idle, 'close');
    assert.match(await slowAnswer, /^HTTP\/1\.1 200 /);
    assert.equal(await exited, 0);
  });

  test(`${name}: slow and idle clients are disconnected by the timeouts of the server`, {
    skip,
  }, async (t) => {
    // A server of its own for the idle client: one that is impatient may not wait for the head of its request.
    const [slow, keeping] = ['slowClients', 'idleClients'].map((kind) => start(t, current, kind));
    const [{ port }, { port: portOfIdle }] = [await slow.next(), await keeping.next()];
    const send = (port, text) => {
      const socket = net.connect(port, host);
      socket.write(text);
      return readAll(socket);
    };
    const body = 'POST /ended HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab';
    const [head, half, idle] = await Promise.all([
      send(port, 'GET / HT'),
      send(port, body),
      send(portOfIdle, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    ]);
    assert.match(head, /^HTTP\/1\.1 408 /);
    assert.match(half, /^HTTP\/1\.1 408 /);
    assert.match(idle, /^HTTP\/1\.1 200 /);
    for (const served of [slow, keeping]) assert.equal(await served.end(), 0);
  });
}

const bun = runtime('bun');
const skip = bun.skip || (process.platform !== 'linux' && 'cluster workers share sockets on Linux only');
test('bun: cluster workers share a port', { skip }, async (t) => {
  const workers = await forkAll(startCluster(t, 'rr', bun.execPath), 2);
  const serve = async ({ load, require }, options) => {
    const server = require('node:http').createServer((_req, res) => res.end(String(process.pid)));
    return (await load().listen(server, options)).port;
  };
  const [port, other] = await Promise.all(workers.map((worker) => worker.run(serve, { port: 0, host })));
  assert.equal(port, other);
  const seen = await distinctAnswers(2, () => getText(`http://${host}:${port}/`));
  assert.deepEqual([...seen].sort(), workers.map(({ pid }) => String(pid)).sort());
});
