// Open sockets of a client are closed when it is banned, in whatever thread.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import protectSocketIo from '../../lib/socket.io.js';
import protectWs from '../../lib/ws.js';
import { Peer } from '../helpers/peer.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import * as socketIo from '../helpers/socket-io.mjs';
import * as ws from '../helpers/websockets.mjs';

stopClock();
const freshName = freshNames('ws-bans');
const reputation = { maxFailures: 1, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
const trustedProxies = ['127.0.0.100'];
const by = (client) => ({ from: '127.0.0.100', headers: { 'x-forwarded-for': client } });
const options = () => ({ name: freshName(), reputation, trustedProxies });

test('by a ban in another thread', async (t) => {
  const protect = protectWs(options());
  const { port } = await ws.serveWebSockets(t, protect);
  const [banned, other] = [await ws.open(port, by('203.0.113.1')), await ws.open(port, by('203.0.113.2'))];
  const peer = new Peer();
  t.after(() => peer.end());
  const ban = ({ load }, name) => {
    new (load().Reputation)(name).ban('203.0.113.1', { duration: '30s' });
  };
  await peer.run(ban, protect.guard.name);
  assert.deepEqual(await banned.closed, { code: 1008, reason: 'abnormal-usage-detected; retry-after=30' });
  assert.equal(other.readyState, other.OPEN);
  assert.equal(protect.guard.stats().refusedBy.ban, 1);
});

test('by a ban of a range, and of an IPv6 network', async (t) => {
  const protect = protectWs(options());
  const { port } = await ws.serveWebSockets(t, protect);
  for (const [range, within, outside] of [
    ['203.0.113.0/28', '203.0.113.9', '203.0.113.16'],
    ['2001:db8:1::/48', '2001:db8:1:2::3', '2001:db8:2::3'],
  ]) {
    const [banned, other] = [await ws.open(port, by(within)), await ws.open(port, by(outside))];
    protect.guard.reputation.ban(range, { duration: '30s' });
    assert.equal((await banned.closed).code, 1008);
    assert.equal(other.readyState, other.OPEN);
  }
});

test('by a ban that its own failures bring about, with Socket.IO', async (t) => {
  const protect = protectSocketIo(options());
  const { port, io } = await socketIo.serveSocketIo(t, protect);
  const client = await socketIo.open(t, port, by('2001:db8::1'));
  const [{ request }] = io.sockets.sockets.values();
  protect.guard.record(request, 'cheating');
  assert.equal(await client.ended, 'io server disconnect');
  assert.equal(client.told[0].reason, 'abnormal-usage-detected; retry-after=60');
});

test('by a ban made while its handshake was decided', async (t) => {
  const key = async () => {
    protect.guard.reputation.ban('203.0.113.1', { duration: '30s' });
    return 'ada';
  };
  const protect = protectWs({ ...options(), key, rateLimit: { limit: 5, window: '1m' } });
  const { port } = await ws.serveWebSockets(t, protect);
  const { from, headers } = by('203.0.113.1');
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { localAddress: from, headers });
  const [code] = await once(socket, 'close');
  assert.equal(code, 1008);
});

test('not in a dry run', async (t) => {
  const protect = protectWs({ ...options(), dryRun: true });
  const { port } = await ws.serveWebSockets(t, protect);
  const socket = await ws.open(port, by('203.0.113.1'));
  const heard = new Promise((resolve) => protect.guard.reputation.once('ban', resolve));
  protect.guard.reputation.ban('203.0.113.1', { duration: '30s' });
  await heard;
  socket.send('a');
  await new Promise((resolve) => socket.once('message', resolve));
  assert.equal(socket.readyState, socket.OPEN);
});
