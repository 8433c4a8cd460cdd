'use strict';

/** Answers without an end of their own, by server: each a function that ends it. */
const streams = new WeakMap();

/** `end` is called when the server is about to close, unless the returned function is called before. */
function addStream(server, end) {
  if (server === undefined || server === null) return () => {};
  if (!streams.has(server)) streams.set(server, new Set());
  const ends = streams.get(server);
  ends.add(end);
  return () => ends.delete(end);
}

/** Ends the streams of a server: a shutdown would wait for them in vain. */
function endStreams(server) {
  for (const end of [...(streams.get(server) ?? [])]) end();
}

module.exports = { addStream, endStreams };
