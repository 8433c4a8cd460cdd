'use strict';

const { randomBytes } = require('node:crypto');
const http = require('node:http');
const path = require('node:path');
const { Dashboard } = require('../dashboard/dashboard');
const { folders, keepToUser, objectionToMade, remove, removeStale, socketIn } = require('./folder');

/** What one connection, and all of them, may take. */
const LIMITS = {
  connections: 32,
  viewers: 16,
  headerBytes: 8 * 1024,
  headersMs: 5_000,
  requestMs: 10_000,
  idleMs: 30_000,
  keepAliveMs: 1_000,
};

const MOST_USER = 64;
const READ_ONLY =
  'This process allows no actions; they need inspect({ actions: true }) in the server. SLUICE_INSPECT alone does not allow them.';

/**
 * Opens the socket of the process. Resolves with `{ path, close() }`; rejects with an error whose message says what is wrong.
 */
async function openSocket(options) {
  const folder = usableFolder();
  await removeStale(folder);
  const file = socketIn(folder, randomBytes(4).toString('hex'));
  const server = serverOf(options);
  await listening(server, file);
  try {
    keepToUser(file);
  } catch (error) {
    await closed(server);
    throw error;
  }
  // Node removes the file when the thread is terminated, but not when it calls process.exit.
  const onExit = () => remove(file);
  process.on('exit', onExit);
  return {
    path: file,
    close: () => {
      process.off('exit', onExit);
      return closed(server);
    },
  };
}

/** The first folder that only this user can reach. */
function usableFolder() {
  const objections = [];
  for (const folder of folders()) {
    const objection = objectionToMade(folder);
    if (objection === null) return folder;
    objections.push(`${folder} ${objection}`);
  }
  throw new Error(objections.join('; '));
}

/** A server with the dashboard's interface, which keeps the process running for no moment longer. */
function serverOf({ actions, showKey, title }) {
  const dashboard = new Dashboard(undefined, {
    title: title ?? path.basename(process.argv[1] ?? 'node').slice(0, 80),
    readOnly: actions !== true,
    whyReadOnly: READ_ONLY,
    // The folder lets nothing but the user's own processes connect.
    authorize: () => true,
    user: userOf,
    allowedOrigins: [],
    showKey,
    maxViewers: LIMITS.viewers,
  });
  const server = http.createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.headersMs,
      requestTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.keepAliveMs,
      connectionsCheckingInterval: 1_000,
    },
    dashboard.handler(),
  );
  server.maxConnections = LIMITS.connections;
  server.setTimeout(LIMITS.idleMs);
  server.on('connection', (socket) => socket.unref());
  return server.unref();
}

/** The name that the command line gives. It is as true as all that the user's own processes say. */
function userOf({ headers }) {
  const given = headers['x-sluice-user'];
  const isName = typeof given === 'string' && given.length <= MOST_USER && /^[\w.@-]+$/.test(given);
  return `${isName ? given : 'unknown'} (command line)`;
}

function listening(server, file) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: file, exclusive: true }, () => {
      server.off('error', reject);
      // A connection that cannot be accepted is no error of the process.
      server.on('error', () => {});
      resolve(undefined);
    });
  });
}

function closed(server) {
  return new Promise((resolve) => {
    server.close(() => resolve(undefined));
    server.closeAllConnections();
  });
}

module.exports = { openSocket };
