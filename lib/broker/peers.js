'use strict';

const { threadId } = require('node:worker_threads');
const { SluiceError } = require('../runtime/errors');
const { native, onProcess } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { encode } = require('../runtime/value');
const { Peer } = require('./peer');

/** The peers of this thread, by the names of their brokers. */
const peers = new Map();

onProcess('reset', () => {
  for (const peer of [...peers.values()]) peer.followReset();
});

/** This thread's peer in a broker, however many objects stand for it. Joins if the thread has not. */
function peerOf(name, { id, metadata, inbox }, reconfigures) {
  const encoded = metadata === undefined ? undefined : encode(metadata, 'metadata');
  const options = inbox === undefined ? undefined : owned({ inbox });
  const existing = peers.get(name);
  if (existing?.isDestroyed) existing.leave();
  if (!peers.has(name)) {
    const joining = { id, metadata: encoded, options, reconfigures };
    const peer = new Peer(name, joining, threadId, () => peers.delete(name));
    peers.set(name, peer);
    return peer;
  }
  checkSameId(name, existing.id, id);
  native.attachToBroker(name, options, reconfigures);
  return existing;
}

/** The broker was destroyed by this thread. */
function leaveDestroyed(name) {
  peers.get(name)?.leave();
}

function checkSameId(name, existing, given) {
  if (given === undefined || given === existing) return;
  const message = `"${name}" was joined by this thread with id = ${existing}; given: ${given}. A thread is one peer: close it first`;
  throw new SluiceError('CONFIG_MISMATCH', message);
}

module.exports = { leaveDestroyed, peerOf };
