'use strict';

// A server whose tracker is full, listening by itself. Prints its port, and a line for each request that it serves.

const http = require('node:http');
const { ConnectionTracker } = require('../..');

const tracker = new ConnectionTracker('full', { max: 1 });
tracker.tryOpen('192.0.2.1');

const server = http.createServer((_req, res) => {
  console.log('served');
  res.end('served');
});
tracker.attach(server);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.once('end', () => process.exit()).resume();
