'use strict';

// Servers in any runtime. Prints the ports they listen on, or the error, as a line of JSON. When its input ends, it
// closes the servers and exits by itself.

const http = require('node:http');
const https = require('node:https');
const http2 = require('node:http2');
const net = require('node:net');
const tls = require('node:tls');
const { isMainThread, parentPort, threadId, Worker } = require('node:worker_threads');
const { listen } = require('../../index.js');

const host = '127.0.0.1';
const certificate = () => JSON.parse(process.env.CERTIFICATE);

const MAKERS = {
  http: () => http.createServer(respond),
  slowClients: () => {
    const short = { headersTimeout: 300, requestTimeout: 400 };
    return http.createServer({ ...short, connectionsCheckingInterval: 100 }, respond);
  },
  idleClients: () => http.createServer({ keepAliveTimeout: 300 }, respond),
  net: () => net.createServer((socket) => socket.end('net')),
  https: () => https.createServer(certificate(), respond),
  tls: () => {
    const server = http.createServer((_req, res) => res.end('tls'));
    return tls.createServer(certificate(), (socket) => server.emit('connection', socket));
  },
  http2: () => http2.createServer((_req, res) => res.end('http2')),
  express: () => http.createServer(require('express')().get('/', (_req, res) => res.send('express'))),
  async fastify() {
    const app = require('fastify')();
    app.get('/', async () => 'fastify');
    await app.ready();
    return app.server;
  },
};

/**
 * Answers `/slow` after the input has ended, `/ended` after the request has, else with the thread and its addresses.
 */
const ended = new Promise((resolve) => {
  if (isMainThread) process.stdin.resume().once('end', resolve);
  else parentPort.once('message', resolve);
});

async function respond(req, res) {
  if (req.url === '/slow') await ended.then(() => new Promise((resolve) => setTimeout(resolve, 50)));
  if (req.url === '/ended') return req.resume().once('end', () => res.end());
  const { address, port } = this.address() ?? {};
  res.end(JSON.stringify({ thread: threadId, address, port, client: req.socket.remoteAddress }));
}

async function start(name) {
  const server = await MAKERS[name]();
  let listened = 0;
  server.on('listening', () => {
    listened += 1;
  });
  try {
    const { port } = await listen(server, { port: 0, host });
    const twice = await listen(server, { port: 0, host }).catch(({ code }) => code);
    ended.then(() => close(server));
    return { port, address: server.address(), listening: server.listening, listened, twice };
  } catch ({ name, code, message }) {
    return { name, code, message };
  }
}

/** Closes, listens again, and closes finally. */
async function close(server) {
  await new Promise((resolve) => server.close(resolve));
  if (!isMainThread) return;
  const { port } = await listen(server, { port: 0, host });
  const isSame = server.address().port === port && server.listening;
  server.close((error) =>
    console.log(JSON.stringify({ closed: error?.code ?? true, isSame, listening: server.listening })),
  );
}

async function main() {
  const [what, count] = process.argv.slice(2);
  if (what !== 'threads') return console.log(JSON.stringify(await start(what)));
  const workers = Array.from({ length: Number(count) }, () => new Worker(__filename));
  const started = workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)));
  console.log(JSON.stringify(await Promise.all(started)));
  ended.then(() => workers.map((worker) => worker.postMessage('close')));
}

if (isMainThread) main();
else start('http').then((started) => parentPort.postMessage(started));
