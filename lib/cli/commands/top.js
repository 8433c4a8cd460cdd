'use strict';

const { setTimeout: pause } = require('node:timers/promises');
const { Failure } = require('../failure');
const { Frames } = require('../frames');
const { printJson } = require('../output');
const { Screen } = require('../screen');
const { oneServerOf, positiveInteger } = require('../server-argument');
const { endpointOfPid } = require('../servers');

/** How long a server may be away: another thread takes the socket over, or a deploy replaces the server. */
const AWAY_MS = 5_000;
const RETRY_MS = 300;

/**
 * Shows a server live until `q` or Ctrl-C. Where the output is no terminal: one frame, or as many as `--count` says.
 */
async function top({ values, positionals }, io) {
  const isLive = io.stdout.isTTY === true && !values.json;
  const most = positiveInteger('--count', values.count, isLive || values.json ? Number.POSITIVE_INFINITY : 1);
  const server = await oneServerOf(positionals[0], values, { io, how: 'as the argument' });
  const stopped = new AbortController();
  const view = viewOf(values, io, { isLive, stop: () => stopped.abort() });
  try {
    await follow(server, { view, most, stopped, io });
  } finally {
    view.end();
  }
}

/** What takes the snapshots: lines of JSON, a screen, or frames of plain text. */
function viewOf({ json }, io, { isLive, stop }) {
  const onSignal = () => stop();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.once(signal, onSignal);
  const release = () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  if (json) return { show: (snapshot) => printJson(io, snapshot), away() {}, end: release };
  const frames = isLive ? new Screen(io, stop) : new Frames(io);
  return {
    show: (snapshot) => frames.show(snapshot),
    away: (why) => frames.away(why),
    end() {
      release();
      frames.end();
    },
  };
}

/** Shows snapshots until it is stopped or all are shown, and connects again where the stream ends before. */
async function follow({ endpoint, pid }, { view, most, stopped, io }) {
  const { signal } = stopped;
  let shown = 0;
  let facts = {};
  let seenAt = 0;
  const onEvent = (name, data) => {
    if (name === 'hello') facts = data;
    if (name !== 'snapshot' || shown >= most || signal.aborted) return;
    seenAt = Date.now();
    shown += 1;
    view.show({ ...facts, ...data });
    if (shown >= most) stopped.abort();
  };
  while (!signal.aborted) {
    const why = await endingOf(endpoint, onEvent, { signal, isFirst: shown === 0 });
    if (signal.aborted) return;
    if (Date.now() - seenAt > AWAY_MS) throw new Failure(`${endpoint.where} is gone: ${why}`);
    view.away(why);
    await pause(RETRY_MS, undefined, { signal }).catch(() => {});
    if (pid !== undefined && !signal.aborted) endpoint = (await takenOver(pid, io)) ?? endpoint;
  }
}

/** Why a stream ended. One that never was is an error, the first time. */
async function endingOf(endpoint, onEvent, { signal, isFirst }) {
  try {
    return await endpoint.stream(onEvent, signal);
  } catch (error) {
    if (isFirst && !signal.aborted) throw error;
    return error.message;
  }
}

/** The socket that another thread of the process has opened meanwhile; undefined while there is none. */
async function takenOver(pid, io) {
  try {
    return await endpointOfPid(pid, io.env);
  } catch (error) {
    if (isGone(pid)) throw new Failure(`process ${pid} has ended`);
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

function isGone(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

module.exports = { top };
