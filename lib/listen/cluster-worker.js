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
 * A worker thread of a cluster worker takes itself for a primary. Only processes with a channel can be cluster workers;
 * others do not load the module.
 */
const cluster = isMainThread && process.connected ? require('node:cluster') : undefined;
const isMainOfWorker = cluster?.isWorker === true;
/** Where the workers of a primary give each other sockets; elsewhere the primary keeps them. */
const sharesSockets = native.sharesWithClusterWorkers();

if (isMainOfWorker && sharesSockets) joinCluster();
if (isMainOfWorker && !sharesSockets) native.leavePortsToPrimary();

/** The main thread reports to the primary what all threads open, and tells them when the primary lets go. */
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
 * In a cluster worker Node sends the number of a descriptor to the primary, where it means another one or none, also
 * where the port is to be `exclusive`, which Bun respects. A primary listens on its own descriptors.
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
  native.watchListeners(subscribe(look));
}

function look() {
  if (native.hasLeftCluster()) {
    for (const server of listening) server.close();
  } else if (isMainOfWorker) {
    for (const port of native.openPorts()) announce(port);
  }
}

/** What the primary's `'listening'` event reports; process managers wait for it. Each port is reported once. */
function announce({ address, isV6, port }) {
  const key = `${address} ${port}`;
  if (announced.has(key) || !process.connected) return;
  announced.add(key);
  const addressType = isV6 ? 6 : 4;
  const message = { cmd: 'NODE_CLUSTER', act: 'listening', data: null, address, addressType, port };
  // A channel that closes meanwhile is no error of the server.
  process.send(message, undefined, undefined, () => {});
}

module.exports = { closeWithCluster, leavesPortToPrimary, listenOnDescriptor };
