'use strict';

// One worker thread that serves orders and a feed, and shuts down with the others: accepted orders are answered, feeds
// are closed with the reason, and background writes finish before the thread stops.

const http = require('node:http');
const { setTimeout: pause } = require('node:timers/promises');
const { parentPort, threadId } = require('node:worker_threads');
const { Lifecycle, Registry, listen } = require('sluice');
const { WebSocketServer } = require('ws');

const lifecycle = new Lifecycle('shop');
const ledger = new Registry('ledger');
const feeds = new WebSocketServer({ noServer: true });
const health = lifecycle.health();

const add = (key) => ledger.update(key, (count = 0) => count + 1);

const server = http.createServer(async (req, res) => {
  if (health(req, res)) return;
  add('accepted');
  await pause(Math.random() * 20);
  // The answer does not wait for this; the shutdown does.
  lifecycle.track(pause(30).then(() => add('written')));
  res.end('ordered');
});

server.on('upgrade', (req, socket, head) => {
  feeds.handleUpgrade(req, socket, head, (ws) => {
    ws.on('error', () => {});
    ws.send('welcome');
  });
});

lifecycle.attach(server);
lifecycle.onShutdown(function closeFeeds({ reason }) {
  for (const ws of feeds.clients) ws.close(1001, reason);
});
lifecycle.onShutdown(() => add('pools closed'), { name: `pool of thread ${threadId}`, when: 'drained' });

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
