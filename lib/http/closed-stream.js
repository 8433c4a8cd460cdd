'use strict';

const { bun, deno, node } = process.versions;
const leavesStreamsOpen = bun === undefined && deno === undefined && Number.parseInt(node, 10) < 24;

/** Streams that end with their clients. */
const ending = new WeakSet();

/**
 * Destroys a stream of HTTP/2 on a server once its client has closed it. Before Node.js 24 one stays open for good, and its
 * session with it, where the client closes it without an error and the answer was just being sent: neither 'finish' nor
 * 'close' follows. Once is enough for a stream, so further calls do nothing.
 */
function endWithClient(stream) {
  if (!leavesStreamsOpen || ending.has(stream)) return;
  ending.add(stream);
  const destroyClosed = () => {
    if (stream.closed && stream.readableEnded && !stream.writableFinished) stream.destroy();
  };
  // A late decision may come after it.
  destroyClosed();
  stream.once('end', destroyClosed);
}

module.exports = { endWithClient };
