'use strict';

const os = require('node:os');
const { lstatSync, statSync } = require('node:fs');
const { answers, folders, isRunning, objectionTo, removeStale, socketsIn } = require('../inspection/folder');
const { Endpoint } = require('./endpoint');
const { Failure, misuse } = require('./failure');
const { headersOf } = require('./headers');
const { printable } = require('./text');

/*
 * The servers that a command can be for: processes of this user with an open inspection, and dashboards at urls.
 */

/** Processes whose facts a list asks for. */
const MOST_LISTED = 64;

const HOW = 'a server opts in with inspect() or with SLUICE_INSPECT=1 in its environment';

/** What is given as `[pid|url]`: `{ pid }`, `{ url }`, or `{}` where nothing is. */
function parseTarget(given) {
  if (given === undefined) return {};
  if (/^\d{1,10}$/.test(given) && Number(given) > 0) return { pid: Number(given) };
  if (/^https?:\/\//i.test(given)) return { url: parseUrl(given) };
  throw misuse(
    `the server is ${quoted(given)}; accepted: the number of a process, or a url with http or https`,
  );
}

/** Neither the url nor a message about it contains credentials. */
function parseUrl(given) {
  let url;
  try {
    url = new URL(given);
  } catch {
    throw misuse('the url cannot be parsed; accepted: one such as "http://localhost:3000/sluice"');
  }
  if (url.username !== '' || url.password !== '') {
    throw misuse(
      'the url has a user or a password; accepted: --header "Authorization: …", or the same in SLUICE_HEADER',
    );
  }
  if (url.search !== '' || url.hash !== '') {
    throw misuse('the url has a query or a fragment; accepted: the address of the dashboard alone');
  }
  return url;
}

/** The endpoint of a url. */
function endpointOfUrl(url, given, io) {
  const { protocol, hostname, port, pathname } = url;
  const headers = headersOf(given, io.env);
  const base = pathname.replace(/\/+$/, '');
  if (Object.keys(headers).length > 0 && protocol === 'http:' && !isLoopback(hostname)) {
    io.stderr.write(`sluice: the headers go to ${printable(url.host)} without encryption\n`);
  }
  // The brackets of an IPv6 address are part of the url only.
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const where = printable(`${protocol}//${url.host}${base}`);
  return new Endpoint(where, { protocol, host, port: port || undefined }, { base, headers });
}

function isLoopback(hostname) {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

/** The endpoint of a process of this user. */
async function endpointOfPid(pid, env) {
  const sockets = await openSockets(env);
  const found = sockets.filter((one) => one.pid === pid);
  if (found.length > 0) return endpointOfSocket(found.at(-1));
  if (!isRunning(pid)) throw new Failure(`there is no process ${pid} here${lookedIn(env)}`);
  const owner = ownerOf(pid);
  if (owner !== undefined && owner !== process.geteuid()) throw new Failure(belongsTo(pid, owner));
  throw new Failure(`process ${pid} cannot be inspected: ${HOW}${lookedIn(env)}`);
}

function belongsTo(pid, owner) {
  return (
    `process ${pid} belongs to the user ${owner}, and sockets are for their own user only; ` +
    `accepted: the same command as that user, such as sudo -u '#${owner}' npx sluice`
  );
}

/** The user that a process belongs to, where the system has a file of it. */
function ownerOf(pid) {
  try {
    return statSync(`/proc/${pid}`).uid;
  } catch {
    return undefined;
  }
}

function endpointOfSocket({ pid, path }) {
  return new Endpoint(`process ${pid}`, { socketPath: path }, { headers: userHeader() });
}

/** The name under which the journal of the server keeps what was done. */
function userHeader() {
  const name = process.env.SUDO_USER || userName();
  return /^[\w.@-]{1,64}$/.test(name) ? { 'x-sluice-user': name } : {};
}

/** In a container, a user may have a number only. */
function userName() {
  try {
    return os.userInfo().username;
  } catch {
    return `uid-${process.geteuid?.()}`;
  }
}

/** The sockets of this user's processes that accept connections, the latest last. */
async function openSockets(env) {
  const found = [];
  for (const folder of folders(env)) {
    await removeStale(folder);
    found.push(...socketsIn(folder));
  }
  const open = await Promise.all(found.map(({ path }) => answers(path)));
  return found.filter((_, place) => open[place]).sort((a, b) => madeAt(a) - madeAt(b));
}

function madeAt({ path }) {
  try {
    return lstatSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

/**
 * The processes of this user that can be inspected: `{ pid, endpoint, title, uptimeS, threads, actions }`. Of one that does
 * not answer only the number is known.
 */
async function inspectable(env) {
  const byPid = new Map((await openSockets(env)).map((one) => [one.pid, one]));
  const listed = [...byPid.values()].slice(0, MOST_LISTED);
  return Promise.all(
    listed.map(async (socket) => {
      const endpoint = endpointOfSocket(socket);
      try {
        const { title, process: of, threads, readOnly } = await endpoint.snapshot();
        return {
          pid: socket.pid,
          endpoint,
          title,
          uptimeS: of.uptimeS,
          threads: threads.length,
          actions: !readOnly,
        };
      } catch {
        return { pid: socket.pid, endpoint };
      }
    }),
  );
}

/** Where sockets were looked for, and which folders were not used and why. */
function lookedIn(env) {
  const parts = folders(env).map((folder) => {
    const objection = exists(folder) ? objectionTo(folder) : null;
    return printable(objection === null ? folder : `${folder} (ignored: it ${objection})`);
  });
  return `; looked in ${parts.join(', ')}`;
}

function exists(folder) {
  try {
    lstatSync(folder);
    return true;
  } catch {
    return false;
  }
}

function noneFound(env) {
  return new Failure(
    `no process of this user can be inspected: ${HOW}, and is found by its own user${lookedIn(env)}`,
  );
}

function quoted(text) {
  return JSON.stringify(printable(text));
}

module.exports = { endpointOfPid, endpointOfUrl, inspectable, noneFound, openSockets, parseTarget, quoted };
