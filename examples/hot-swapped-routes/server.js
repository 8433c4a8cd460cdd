'use strict';

// One worker thread: a gateway that looks up routes in a table that another thread replaces meanwhile.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const { listen, Registry } = require('sluice');

const routes = new Registry('routes');
let table = routes.snapshot();

/** All routes of one release. Reading the version is cheap; a snapshot is made only after a change. */
function currentTable() {
  if (routes.version !== table.version) table = routes.snapshot();
  return table;
}

/** The releases to which the routes of a table belong; more than one would be a partial change. */
const releasesIn = (routes) => [...new Set([...routes.values()].map(({ release }) => release))];

const server = http.createServer((req, res) => {
  const current = currentTable();
  const route = current.get(req.url);
  res.statusCode = route === undefined ? 404 : 200;
  res.end(JSON.stringify({ upstream: route?.upstream, size: current.size, releases: releasesIn(current) }));
});

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
