'use strict';

const { invalidOption } = require('../runtime/errors');
const { checkOptions, integer, parseDuration } = require('../runtime/schema');

/** Bounds on what is read and discarded of refused requests, so that their clients can read the answer. */
const DEFAULTS = Object.freeze({ bytes: 8 * 1024 * 1024, timeout: 2000, connections: 64 });

const LONGEST_TIMEOUT_MS = 3_600_000;

const SCHEMA = { bytes: integer(0), timeout: checkTimeout, connections: integer(0) };

/** How long an answered client sends nothing before its request counts as sent. */
const QUIET_MS = 250;

/** Connections of all servers that this thread drains now. */
let draining = 0;

/** The bounds with their defaults, or `false` where nothing is read. */
function refusedBodyOption(value, option) {
  if (value === false) return false;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidOption(option, value, 'false, or an object of { bytes, timeout, connections }');
  }
  return { ...DEFAULTS, ...checkOptions(option, value, SCHEMA) };
}

function checkTimeout(value, option) {
  const ms = parseDuration(value, option, { least: 0 });
  if (ms <= LONGEST_TIMEOUT_MS) return ms;
  throw invalidOption(option, value, 'at most "1h"');
}

/**
 * Reads and discards a stream until it has ended, its `socket` has closed or a bound is reached, then calls
 * `done(hasEnded)`. `onData` gets each chunk. Returns false and reads nothing when this thread already drains as many
 * connections as `bounds` allows.
 */
function drain(stream, bounds, { socket = stream, onData = (_chunk) => {}, done }) {
  if (bounds === false || draining >= bounds.connections) return false;
  draining += 1;
  let bytes = 0;
  const end = (hasEnded) => {
    draining -= 1;
    clearTimeout(timer);
    stream.off('data', take).off('end', ended);
    socket.off('close', stop);
    done(hasEnded);
  };
  const ended = () => end(true);
  const stop = () => end(false);
  const take = (chunk) => {
    bytes += chunk.length;
    onData(chunk);
    if (bytes > bounds.bytes) stop();
  };
  const timer = setTimeout(stop, bounds.timeout).unref();
  stream.on('data', take).once('end', ended);
  socket.once('close', stop);
  stream.resume();
  return true;
}

/**
 * Ends the writable side of a socket once nothing has arrived for a while. Some clients that are still sending fail at the
 * end, before they read the answer.
 */
function endWhenQuiet(socket) {
  let { bytesRead } = socket;
  const stop = () => clearInterval(timer);
  const look = () => {
    if (socket.writableEnded || socket.destroyed) return stop();
    if (socket.bytesRead === bytesRead) return socket.end(stop);
    bytesRead = socket.bytesRead;
  };
  // What arrived while this thread was busy is read between the timer and the look.
  const timer = setInterval(() => setImmediate(look), QUIET_MS).unref();
  socket.once('close', stop);
}

module.exports = { DEFAULT_REFUSED_BODY: DEFAULTS, drain, endWhenQuiet, refusedBodyOption };
