'use strict';

const { isMainThread } = require('node:worker_threads');
const { SluiceError } = require('../runtime/errors');
const { native, subscribe } = require('../runtime/native');

const isBun = process.versions.bun !== undefined;

/** Servers of this thread that listen. */
const listening = new Set();
const announced = new Set();
let watches = false;

/**
 * The main thread only: in worker threads of a cluster worker, `node:cluster` acts as in a primary. Only processes with a
 * channel can be cluster workers; others do not load the module.
 *
 * @type {any} The types of Node.js lack some of its fields.
 */
const cluster = isMainThread && process.connected ? require('node:cluster') : undefined;
const isMainOfWorker = cluster?.isWorker === true;
/** Whether the workers of a primary hand each other sockets. Elsewhere the primary keeps them. */
const sharesSockets = native.sharesWithClusterWorkers();

if (isMainOfWorker && sharesSockets) joinCluster();
if (isMainOfWorker && !sharesSockets) native.leavePortsToPrimary();

/** The main thread reports the ports of all threads to the primary, and its disconnection to all threads. */
function joinCluster() {
  watch();
  cluster.worker.once('disconnect', () => native.leaveCluster());
}

/** Whether the primary is to open the port for a server of this thread. */
function leavesPortToPrimary() {
  if (isMainOfWorker) return !sharesSockets;
  if (!native.portsAreLeftToPrimary()) return false;
  throw new SluiceError(
    'UNSUPPORTED',
    `listen: on ${process.platform} only the main thread of a cluster worker can listen; ` +
      'accepted: a call there, or threads of a process that is no cluster worker',
  );
}

/**
 * In a cluster worker Node sends the number of a descriptor to the primary, where it is another descriptor or none, even
 * with `exclusive`. A primary listens on its own descriptors, so the worker acts as one for the call. Bun respects
 * `exclusive`.
 */
function listenOnDescriptor(server, fd, backlog) {
  const listen = () => server.listen({ fd, exclusive: true }, backlog);
  if (!isMainOfWorker || isBun) return listen();
  cluster.isPrimary = true;
  try {
    return listen();
  } finally {
    cluster.isPrimary = false;
  }
}

/** A server of a cluster worker closes when the worker disconnects from its primary. */
function closeWithCluster(server) {
  if (!sharesSockets) return;
  watch();
  if (listening.has(server)) return;
  listening.add(server);
  server.once('close', () => listening.delete(server));
}

function watch() {
  if (watches) return;
  watches = true;
  native.watchListeners(subscribe(refresh));
}

/** A port was opened, or this process leaves its cluster. */
function refresh() {
  if (native.hasLeftCluster()) {
    for (const server of listening) server.close();
  } else if (isMainOfWorker) {
    for (const port of native.openPorts()) announce(port);
  }
}

/** Makes the primary emit `'listening'`, which process managers wait for. Each port is reported once. */
function announce({ address, isV6, port }) {
  const key = `${address} ${port}`;
  if (announced.has(key) || !process.connected) return;
  announced.add(key);
  const addressType = isV6 ? 6 : 4;
  const message = { cmd: 'NODE_CLUSTER', act: 'listening', data: null, address, addressType, port };
  // A channel that closes meanwhile is not an error of the server.
  process.send(message, undefined, undefined, () => {});
}

module.exports = { closeWithCluster, leavesPortToPrimary, listenOnDescriptor };
