// The part `fleet`: how long calls wait for their answer while something is wrong with the server.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { startRedis } from '../http/redis.mjs';
import { table } from '../table.mjs';

const require = createRequire(import.meta.url);

const TIMEOUT_MS = 50;
const FAULT_MS = 300;
const CUT_EVERY_MS = 20;
const SLOW_MS = 80;
/** Redis lets others in after `busy-reply-threshold`, 5 s by default, with an error. */
const BUSY = `local t = redis.call('TIME'); local till = t[1] * 1000 + t[2] / 1000 + ${FAULT_MS}
repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > till`;

/** What goes wrong, and how it ends. */
const FAULTS = [
  { name: 'paused', begin: ({ redis }) => redis.pause(), end: ({ redis }) => redis.resume() },
  { name: 'killed, and started again', begin: ({ redis }) => redis.stop(), end: ({ restart }) => restart() },
  { name: `cut every ${CUT_EVERY_MS} ms`, begin: cutOften, end: () => {} },
  {
    name: 'out of memory',
    begin: ({ command }) => command('CONFIG', 'SET', 'maxmemory', '1'),
    end: ({ command }) => command('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    name: 'turned into a replica',
    begin: ({ command }) => command('REPLICAOF', '127.0.0.1', '1'),
    end: ({ command }) => command('REPLICAOF', 'NO', 'ONE'),
  },
  // Not awaited: nothing is answered meanwhile.
  {
    name: 'busy with another script',
    begin: ({ command }) => void command('EVAL', BUSY, '0'),
    end: () => {},
  },
  {
    name: `${SLOW_MS} ms more to each answer`,
    begin: ({ proxy }) => proxy.delay(SLOW_MS),
    end: ({ proxy }) => proxy.delay(0),
  },
];

async function cutOften({ proxy }) {
  for (const endsAt = performance.now() + FAULT_MS; performance.now() < endsAt; ) {
    proxy.cut();
    await new Promise((resolve) => setTimeout(resolve, CUT_EVERY_MS));
  }
}

/** Milliseconds to the answer of calls, one each millisecond, by fault; sorted. */
export async function measure(rounds) {
  const { RateLimiter } = require('../../index.js');
  const server = await startFaulty();
  const scope = { redis: `redis://127.0.0.1:${server.proxy.port}`, timeout: TIMEOUT_MS };
  const limiter = new RateLimiter('benchmark-faults', { limit: 1_000_000, window: '1h', scope });
  const results = [];
  for (const fault of FAULTS) {
    const all = [];
    for (let round = 0; round < rounds; round++) all.push(...(await answersDuring(fault, server, limiter)));
    results.push({ name: fault.name, ms: all.sort((a, b) => a - b) });
  }
  RateLimiter.destroy('benchmark-faults');
  server.proxy.close();
  server.redis.stop();
  return results;
}

async function answersDuring({ begin, end }, server, limiter) {
  await limiter.ready({ timeout: '20s' });
  const begun = begin(server);
  const calls = [];
  for (const endsAt = performance.now() + FAULT_MS; performance.now() < endsAt; ) {
    calls.push(answerOf(limiter));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const all = await Promise.all(calls);
  await begun;
  await end(server);
  while ((await limiter.consumeAsync('healing')).degraded) await new Promise(setImmediate);
  return all;
}

async function answerOf(limiter) {
  const askedAt = performance.now();
  await limiter.consumeAsync('a');
  return performance.now() - askedAt;
}

async function startFaulty() {
  const server = { redis: await startRedis(), proxy: undefined, command: undefined, restart: undefined };
  server.command = (...words) => command(server.redis.port, words);
  server.restart = async () => {
    server.redis = await startRedis(server.redis.port);
  };
  server.proxy = await startProxy(server.redis.port);
  return server;
}

/** The reply to a command. */
async function command(port, words) {
  const socket = connect(port, '127.0.0.1');
  const bulk = (word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
  socket.end(`*${words.length}\r\n${words.map(bulk).join('')}*1\r\n$4\r\nQUIT\r\n`);
  let reply = '';
  for await (const chunk of socket) reply += chunk;
  return reply;
}

/** Passes connections on to a server, cuts them, or delays its answers. */
async function startProxy(target) {
  const sockets = new Set();
  let delayMs = 0;
  const server = createServer((socket) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ]) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    socket.on('data', (data) => upstream.write(data));
    upstream.on('data', (data) => {
      if (delayMs === 0) socket.write(data);
      else setTimeout(() => socket.write(data), delayMs);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: server.address().port,
    cut,
    delay: (ms) => {
      delayMs = ms;
    },
    close: () => {
      cut();
      server.close();
    },
  };
}

const percentile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

export function section(results) {
  const rows = results.map(({ name, ms }) => [
    name,
    ...[0.5, 0.99, 1].map((part) => percentile(ms, part).toFixed(1)),
  ]);
  const text = table(['the server is', 'median', 'p99', 'longest'], rows);
  return `### Answers while something is wrong with the server\n\nMilliseconds to the answer. One call each millisecond for ${FAULT_MS} ms, \`timeout\` ${TIMEOUT_MS} ms, through a proxy in the same process.\n\n${text}`;
}

export function targets(results) {
  return results.map(({ name, ms }) => {
    const what = `ms to an answer, the server is ${name}, p99, \`timeout\` ${TIMEOUT_MS} ms`;
    return { what, unit: 'ms', atMost: TIMEOUT_MS + 10, value: percentile(ms, 0.99) };
  });
}
