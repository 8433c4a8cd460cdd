'use strict';

// One machine of the fleet: a process of its own with node:http. It shares its limits with the others through Redis. The code
// does not depend on how many there are.

const http = require('node:http');
const sluice = require('sluice/http');

const redis = process.env.REDIS_URL;

// Each decision is the server's.
const orders = sluice({
  name: 'orders',
  rateLimit: { limit: 30, window: '1h' },
  scope: { redis, onError: 'deny', timeout: '5s' },
});

// A busy client is decided here, by units that the server has granted ahead.
const searches = sluice({
  name: 'searches',
  rateLimit: { limit: 600, window: '1h' },
  scope: { redis, mode: 'lease', onError: 'deny', timeout: '5s' },
});

const order = orders((_, res) => res.end('ordered'));
const search = searches((_, res) => res.end('found'));

const server = http.createServer((req, res) => (req.url === '/order' ? order(req, res) : search(req, res)));

server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));

process.on('message', () => {
  const { allowed, fleet } = searches.guard.stats().rateLimit;
  process.send({ allowed, fleet });
});
