'use strict';

const { clearImmediate, setImmediate } = require('node:timers');

/** Answers without an end of their own, by server: each a function that ends it. */
const streams = new WeakMap();

/** Servers that are about to close. */
const ended = new WeakSet();

/**
 * `end` is called when the server is about to close, unless the returned function is called before. If it is about to close
 * already, `end` is called once the caller has sent the head.
 */
function addStream(server, end) {
  if (server === undefined || server === null) return () => {};
  if (ended.has(server)) {
    const due = setImmediate(end);
    return () => clearImmediate(due);
  }
  if (!streams.has(server)) streams.set(server, new Set());
  const ends = streams.get(server);
  ends.add(end);
  return () => ends.delete(end);
}

/** Ends the streams of a server, also those to come: a shutdown would wait for them in vain. */
function endStreams(server) {
  ended.add(server);
  for (const end of [...(streams.get(server) ?? [])]) end();
}

/** Streams of the server stay open again: it does not close. */
function allowStreams(server) {
  ended.delete(server);
}

module.exports = { addStream, allowStreams, endStreams };
