'use strict';

// Clients of the shop, over connections that stay open: those that wait for each answer, and those that do not.

const net = require('node:net');

const CONNECTIONS = 1000;
const OPENED_TOGETHER = 50;
/** Where the process is stopped for longer, the rest is no time of the load: its requests would come all at once. */
const LATE_MS = 100;

/** How many requests a second are answered, where `clients` ask for the next one as soon as they have an answer. */
async function answersPerSecond(port, mix, { clients, seconds }) {
  const lines = await openLines(port, clients);
  const begun = performance.now();
  let answers = 0;
  const ask = () => {
    const onAnswer = () => {
      answers++;
      ask();
    };
    lines.send({ ...oneOf(mix), at: performance.now(), onAnswer });
  };
  for (let client = 0; client < clients; client++) ask();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  lines.close();
  return (1000 * answers) / (performance.now() - begun);
}

const oneOf = (mix) => mix[Math.floor(Math.random() * mix.length)];

/**
 * Offers `perSecond` requests of `mix`, at random times, for `seconds`. Resolves with one entry for each:
 * `{ kind, status, ms, retryAfter }`, with an infinite `ms` where there was no answer within `patienceMs`.
 */
async function offer(port, mix, { perSecond, seconds, patienceMs }) {
  const lines = await openLines(port, CONNECTIONS);
  const requests = [];
  let last = performance.now();
  let nextAt = last;
  let endsAt = last + 1000 * seconds;
  await new Promise((resolve) => {
    const tick = () => {
      const now = performance.now();
      const stoppedMs = Math.max(0, now - last - LATE_MS);
      last = now;
      nextAt += stoppedMs;
      endsAt += stoppedMs;
      if (now >= endsAt) return resolve();
      for (; nextAt <= now; nextAt += (-Math.log(1 - Math.random()) * 1000) / perSecond) {
        const request = { ...oneOf(mix), at: nextAt, ms: Infinity };
        requests.push(request);
        lines.send(request);
      }
      setTimeout(tick, 1);
    };
    tick();
  });
  await new Promise((resolve) => setTimeout(resolve, patienceMs));
  lines.close();
  return requests;
}

/**
 * Open connections. A request that finds none that is free waits for one, which counts. Each has been answered once: Node.js
 * accepts one connection in each turn of its loop, so under load new ones wait longer than any request.
 */
async function openLines(port, count) {
  const free = [];
  const waiting = [];
  const sockets = [];
  const next = (socket) => {
    const request = waiting.shift();
    if (request === undefined) free.push(socket);
    else use(socket, request);
  };
  const use = (socket, request) => {
    socket.request = request;
    socket.write(`${request.method} ${request.path} HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n`);
  };
  const open = () =>
    new Promise((resolve, reject) => {
      const first = { method: 'GET', path: '/health', at: performance.now(), onAnswer: resolve };
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => use(socket, first));
      let text = '';
      socket.on('data', (bytes) => {
        text += bytes.latin1Slice();
        const answer = answerIn(text);
        if (answer === undefined) return;
        text = '';
        const { request } = socket;
        Object.assign(request, answer, { ms: performance.now() - request.at });
        next(socket);
        request.onAnswer?.();
      });
      socket.once('error', reject);
      sockets.push(socket);
    });
  for (let left = count; left > 0; left -= OPENED_TOGETHER) {
    await Promise.all(Array.from({ length: Math.min(left, OPENED_TOGETHER) }, open));
  }
  return {
    send: (request) => (free.length === 0 ? waiting.push(request) : use(free.pop(), request)),
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The answer in what has arrived; undefined until it is complete. */
function answerIn(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
  if (text.length < end + 4 + length) return undefined;
  const retryAfter = Number(/^retry-after: (\d+)/im.exec(text)?.[1]);
  return { status: Number(text.slice(9, 12)), retryAfter };
}

module.exports = { answersPerSecond, offer };
