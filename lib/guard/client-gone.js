'use strict';

const { endWithClient } = require('../http/closed-stream');

/** By the socket of HTTP/1, or the stream of HTTP/2: a signal that aborts when it closes. */
const signals = new WeakMap();

/** A signal that aborts once the client of a request has gone; undefined where the request has no socket. */
function clientGone(incoming) {
  const transport = incoming.stream ?? incoming.socket;
  if (typeof transport?.once !== 'function') return undefined;
  if (incoming.stream !== undefined) endWithClient(incoming.stream);
  if (transport.destroyed) return AbortSignal.abort();
  let signal = signals.get(transport);
  if (signal === undefined) {
    const controller = new AbortController();
    signal = controller.signal;
    signals.set(transport, signal);
    transport.once('close', () => controller.abort());
  }
  return signal;
}

module.exports = { clientGone };
