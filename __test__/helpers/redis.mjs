/*
 * Redis servers of a test's own, on free ports of loopback. They need `redis-server` in the PATH, or at
 * SLUICE_TEST_REDIS. Without one the tests say that they did not run; with SLUICE_REQUIRE_REDIS they fail.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePortIn } from './free-port.mjs';

export const program = process.env.SLUICE_TEST_REDIS ?? 'redis-server';
const version = spawnSync(program, ['--version'], { encoding: 'utf8' });
const missing =
  version.status === 0 ? undefined : `${program} cannot be started: nothing of the fleet was tested`;
if (missing !== undefined && process.env.SLUICE_REQUIRE_REDIS) throw new Error(missing);

/** Options of tests that need a server. */
export const withRedis = { skip: missing };

const PORTS = { first: 20_000, count: 12_000 };

export const freePort = () => freePortIn(PORTS);

/** Ends with the test. `persists`: what it counted is there after a restart. */
export async function startRedis(t, { args = [], persists = false } = {}) {
  const redis = new RedisServer(await freePort(), args, persists);
  t.after(() => redis.remove());
  await redis.start();
  return redis;
}

/** What answers commands of a test on a port. */
export class CommandClient {
  constructor(port) {
    this.port = port;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** The reply to a command, as it is on the wire. */
  async command(...words) {
    const socket = net.connect(this.port, '127.0.0.1');
    socket.end(`*${words.length}\r\n${words.map(bulk).join('')}*1\r\n$4\r\nQUIT\r\n`);
    let reply = '';
    for await (const chunk of socket) reply += chunk;
    return reply;
  }

  /** Resolves once the reply to a command is as it is to be. */
  async until(isRight, ...words) {
    while (!isRight(await this.command(...words).catch(() => ''))) await delay(20);
  }

  /** A reply that is a number. */
  async number(...words) {
    return Number(/^:(-?\d+)/.exec(await this.command(...words))[1]);
  }
}

class RedisServer extends CommandClient {
  #args;
  #persists;
  #directory = mkdtempSync(path.join(tmpdir(), 'sluice-redis-'));
  #process;

  constructor(port, args, persists) {
    super(port);
    this.#args = args;
    this.#persists = persists;
  }

  async start() {
    const append = this.#persists
      ? ['--appendonly', 'yes', '--appendfsync', 'always']
      : ['--appendonly', 'no'];
    const place = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.#directory, '--save', ''];
    this.#process = spawn(program, [...place, ...append, ...this.#args], { stdio: 'ignore' });
    this.#process.exited = once(this.#process, 'exit');
    await this.#answers();
  }

  pause() {
    this.#signal('SIGSTOP');
  }

  resume() {
    this.#signal('SIGCONT');
  }

  async kill() {
    this.#signal('SIGKILL');
    await this.#process.exited;
  }

  /** By its number: after `child.kill('SIGSTOP')` Deno sends a child no more signals. */
  #signal(name) {
    const { pid, exitCode, signalCode } = this.#process;
    if (exitCode === null && signalCode === null) process.kill(pid, name);
  }

  async remove() {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #answers() {
    for (;;) {
      // As one that was built without TLS, or does not know an option.
      if (this.#process.exitCode !== null) throw new Error(`${program} has ended at its start`);
      const reply = await this.command('PING').catch(() => '');
      if (/PONG|NOAUTH|NOPERM/.test(reply)) return;
      await delay(5);
    }
  }
}

/** Pauses, resumes, kills and restarts a server, which serves so many ms in between, until what it returns is called. */
export function disturb(redis, servedMs) {
  let isOver = false;
  const disturbed = (async () => {
    while (!isOver) {
      redis.pause();
      await delay(120);
      redis.resume();
      await delay(servedMs);
      await redis.kill();
      await delay(50);
      await redis.start();
      await delay(servedMs);
    }
  })();
  return () => {
    isOver = true;
    return disturbed;
  };
}

function bulk(word) {
  return `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`;
}

/** Passes connections on to a server, until it cuts, delays or holds them. Ends with the test. */
export async function startProxy(t, port) {
  const proxy = new ServerProxy(port);
  t.after(() => proxy.close());
  await proxy.listen();
  return proxy;
}

class ServerProxy {
  #target;
  #server = net.createServer((socket) => this.#pass(socket));
  #sockets = new Set();
  /** Of each connection, what passes the next answer on. */
  #connections = new Set();
  #holds = false;
  /** Milliseconds that answers of the server take longer. None overtakes another. */
  delayMs = 0;

  constructor(target) {
    this.#target = target;
  }

  get url() {
    return `redis://127.0.0.1:${this.#server.address().port}`;
  }

  async listen() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** No answer of the server passes until `release`. */
  hold() {
    this.#holds = true;
  }

  release() {
    this.#holds = false;
    for (const pass of this.#connections) pass();
  }

  close() {
    this.cut();
    this.#server.close();
  }

  #pass(socket) {
    const upstream = net.connect(this.#target, '127.0.0.1');
    for (const end of [socket, upstream]) {
      this.#sockets.add(end);
      end.setNoDelay(true);
      end.on('error', () => end.destroy());
    }
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.destroy());
    socket.on('data', (data) => upstream.write(data));
    const answers = [];
    const pass = () => {
      while (!this.#holds && answers.length > 0) {
        const early = answers[0].due - performance.now();
        if (early > 0) {
          setTimeout(pass, early);
          return;
        }
        socket.write(answers.shift().data);
      }
    };
    this.#connections.add(pass);
    socket.on('close', () => this.#connections.delete(pass));
    upstream.on('data', (data) => {
      answers.push({ data, due: performance.now() + this.delayMs });
      pass();
    });
  }
}

/** A server of the test's own making: `answer(words)` is its reply to a command, as on the wire. Its url. Ends with the test. */
export async function startFake(t, answer) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    let pending = '';
    socket.on('data', (data) => {
      pending += data.toString('latin1');
      for (;;) {
        const { words, rest } = firstCommand(pending);
        if (words === undefined) return;
        pending = rest;
        socket.write(answer(words));
      }
    });
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `redis://127.0.0.1:${server.address().port}`;
}

/** The first complete command of what has arrived, and the rest. */
function firstCommand(bytes) {
  const lineAt = (at) => [bytes.slice(at + 1, bytes.indexOf('\r\n', at)), bytes.indexOf('\r\n', at) + 2];
  if (!bytes.includes('\r\n')) return {};
  let [count, at] = lineAt(0);
  const words = [];
  while (count-- > 0) {
    if (bytes.indexOf('\r\n', at) < 0) return {};
    const [length, start] = lineAt(at);
    at = start + Number(length) + 2;
    if (bytes.length < at) return {};
    words.push(bytes.slice(start, at - 2));
  }
  return { words, rest: bytes.slice(at) };
}
