'use strict';

const { chmodSync, lstatSync, mkdirSync, readdirSync, statSync, unlinkSync } = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

/*
 * Where the sockets of inspected processes lie. Only the user's own processes may reach them: what can connect can act.
 */

const isWindows = process.platform === 'win32';
const PIPES = '\\\\.\\pipe\\';

/** A socket's path has at most 103 bytes on macOS, and 107 on Linux. */
const MOST_PATH_BYTES = 103;
const SOCKET = /^(?:sluice-)?(\d{1,10})-([0-9a-f]{8})(?:\.sock)?$/;
/** A younger socket that refuses connections may be about to listen. */
const YOUNG_MS = 1000;
const CONNECT_MS = 2000;

const WRITABLE_BY_ALL = 0o002;
const STICKY = 0o1000;
const OF_OTHERS = 0o077;

/**
 * The folders where a socket may lie, the preferred one first: that of `SLUICE_INSPECT_DIR`, or else the user's runtime
 * folder and the one for temporary files.
 *
 * @returns {string[]}
 */
function folders(env = process.env) {
  if (isWindows) return [PIPES];
  if (env.SLUICE_INSPECT_DIR) return [path.resolve(env.SLUICE_INSPECT_DIR)];
  const user = userId();
  const temporary = [os.tmpdir(), '/tmp'].map((folder) => path.join(folder, `sluice-${user}`));
  // A command by sudo may have the variable of another user.
  const runtime = [env.XDG_RUNTIME_DIR, `/run/user/${user}`].filter(Boolean);
  return [...new Set([...runtime.map((folder) => path.join(folder, 'sluice')), ...temporary])];
}

/** Why a folder is not used, as a part of a sentence; null for one that only this user can reach. */
function objectionTo(folder) {
  if (isWindows) return null;
  try {
    const found = lstatSync(folder);
    if (found.isSymbolicLink()) return 'is a symbolic link';
    if (!found.isDirectory()) return 'is no directory';
    if (found.uid !== userId()) return `belongs to the user ${found.uid}, not to ${userId()}`;
    const mode = found.mode & 0o777;
    if ((mode & OF_OTHERS) !== 0)
      return `has the mode ${mode.toString(8)}, which lets other users in; accepted: 700`;
    const { mode: above } = statSync(path.dirname(folder));
    const isOpen = (above & WRITABLE_BY_ALL) !== 0 && (above & STICKY) === 0;
    return isOpen ? 'lies in a directory that every user can change' : null;
  } catch (error) {
    return `cannot be read (${error.code})`;
  }
}

/** As `objectionTo`, of a folder that is made if it is missing. */
function objectionToMade(folder) {
  if (isWindows) return null;
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (error.code !== 'EEXIST') return `cannot be made (${error.code})`;
  }
  if (Buffer.byteLength(socketIn(folder, '0'.repeat(8))) > MOST_PATH_BYTES)
    return 'has too long a path for a socket';
  return objectionTo(folder);
}

/** The path of a socket of this process. No two have one, so a socket never takes the place of another. */
function socketIn(folder, random) {
  const name = `${process.pid}-${random}`;
  return isWindows ? `${folder}sluice-${name}` : path.join(folder, `${name}.sock`);
}

/**
 * The sockets in a folder: `{ pid, path }`. Some may be stale.
 *
 * @returns {{ pid: number, path: string }[]}
 */
function socketsIn(folder) {
  if (objectionTo(folder) !== null) return [];
  return namesIn(folder)
    .map((name) => ({
      match: SOCKET.exec(name),
      path: isWindows ? `${folder}${name}` : path.join(folder, name),
    }))
    .filter(({ match, path: file }) => match !== null && isOwnSocket(file))
    .map(({ match, path: file }) => ({ pid: Number(match[1]), path: file }));
}

function namesIn(folder) {
  try {
    return readdirSync(folder).filter((name) => !isWindows || name.startsWith('sluice-'));
  } catch {
    return [];
  }
}

function isOwnSocket(file) {
  if (isWindows) return true;
  try {
    const found = lstatSync(file);
    return found.isSocket() && found.uid === userId();
  } catch {
    return false;
  }
}

/** Removes the sockets in a folder that processes have left which no longer run. */
async function removeStale(folder) {
  if (isWindows) return;
  const left = socketsIn(folder).filter(({ pid }) => pid === process.pid || !isRunning(pid));
  await Promise.all(left.map(({ path: file }) => removeIfStale(file)));
}

/** A process in another namespace may have the number of none here, and still answer. */
async function removeIfStale(file) {
  try {
    if (Date.now() - lstatSync(file).mtimeMs < YOUNG_MS) return;
    if ((await outcomeOf(file)) === 'ECONNREFUSED') unlinkSync(file);
  } catch {
    // Another process has removed it.
  }
}

/** Whether a socket accepts connections. */
async function answers(file) {
  return (await outcomeOf(file)) === 'open';
}

/** What comes of connecting: `'open'`, the code of an error, or `'late'`. */
function outcomeOf(file) {
  return new Promise((resolve) => {
    const socket = net.connect(file);
    socket.once('connect', () => resolve('open'));
    socket.once('connect', () => socket.destroy());
    socket.once('error', (error) => resolve(/** @type {any} */ (error).code));
    socket.setTimeout(CONNECT_MS, () => socket.destroy());
    socket.once('close', () => resolve('late'));
  });
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Only the user may connect, also where the folder's mode is changed later. */
function keepToUser(file) {
  if (!isWindows) chmodSync(file, 0o600);
}

function remove(file) {
  try {
    if (!isWindows) unlinkSync(file);
  } catch {
    // It is gone.
  }
}

function userId() {
  return process.geteuid();
}

module.exports = {
  answers,
  folders,
  isRunning,
  keepToUser,
  objectionTo,
  objectionToMade,
  remove,
  removeStale,
  socketIn,
  socketsIn,
};
