// A runtime may report the end of a thread while it still runs a little (Deno, after `terminate`). What it sends after its
// departure arrives from an unknown peer.
import assert from 'node:assert/strict';
import test from 'node:test';
import headers from '../../lib/broker/headers.js';
import inboxes from '../../lib/broker/inbox.js';

const { KIND } = headers;

/** An inbox that knows these peers, and what it passes on. */
function inboxOf(peers) {
  const passed = [];
  const pass =
    (what) =>
    (...args) =>
      passed.push([what, ...args]);
  const inbox = new inboxes.Inbox({
    membership: { hasLeft: false },
    directory: { get: (number) => peers[number] },
    service: { serve: pass('serve'), ignore: pass('ignore') },
    messages: { receive: pass('receive') },
  });
  return { inbox, passed };
}

test('a request of an unknown peer releases its capacity and does not run; its messages are dropped', () => {
  const { inbox, passed } = inboxOf({});
  assert.ok(inbox.onMessage(KIND.request, 0, 'payload'));
  assert.ok(inbox.onMessage(KIND.message, 0, 'payload'));
  assert.deepEqual(passed, [['ignore']]);
});

test('requests and messages of a known peer are passed on', () => {
  const peer = { id: 'ada', number: 0 };
  const { inbox, passed } = inboxOf({ 0: peer });
  inbox.onMessage(KIND.request, 0, 'payload');
  inbox.onMessage(KIND.message, 0, 'payload');
  assert.deepEqual(passed, [
    ['serve', peer, 0, 0, 'payload'],
    ['receive', peer, 'payload'],
  ]);
});
