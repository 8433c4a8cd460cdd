'use strict';

// WebSockets in four worker threads, limited in total, per client and per minute, with quotas of messages and bytes per
// session. An operator in another thread closes a session, clients connect through a proxy, and a thread dies.

const { ConnectionTracker } = require('sluice');
const { manualClock } = require('sluice/testing');
const { WebSocket } = require('ws');
const { check, repeat, startWorkers, tally, until } = require('../stage');

const PROXY = '127.0.0.100';

/** A socket that has received its session id, or null if refused. `behind` is the client named by the proxy. */
function connect(port, from, behind) {
  const headers = behind === undefined ? {} : { 'x-forwarded-for': behind };
  return new Promise((resolve) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}`, { localAddress: from, headers });
    ws.on('error', () => resolve(null));
    ws.once('close', (code) => {
      ws.closedWith = code;
    });
    ws.once('message', (id) => resolve(Object.assign(ws, { session: String(id) })));
  });
}

/** Sends messages and resolves with the answers of the server. */
function talk(ws, messages) {
  return new Promise((resolve) => {
    const answers = [];
    ws.on('message', (data) => {
      if (answers.push(String(data)) === messages.length) resolve(answers);
    });
    for (const message of messages) ws.send(message);
  });
}

async function main() {
  const clock = manualClock();
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const sessions = new ConnectionTracker('chat');
  const open = [];
  const tryOpen = async (count, from, behind) => {
    const admitted = (await repeat(count, 4, () => connect(port, from, behind))).filter((ws) => ws !== null);
    open.push(...admitted);
    return admitted.length;
  };

  console.log('At most 6 sessions per client, 20 in total');
  for (const [from, expected] of [
    ['127.0.0.2', 6],
    ['127.0.0.3', 6],
    ['127.0.0.4', 6],
    ['127.0.0.5', 2],
  ]) {
    check(`8 sessions of ${from}`, await tryOpen(8, from), expected);
  }
  check('open', sessions.count, 20);

  console.log('At most 5 messages and 1000 bytes per second and session');
  const short = await Promise.all(open.slice(0, 4).map((ws) => talk(ws, Array(8).fill('hello'))));
  check('8 short messages on each of four', tally(short.flat().sort()), 'echo hello × 20, too much × 12');
  const [large] = await Promise.all([talk(open[4], ['x'.repeat(900), 'x'.repeat(200), 'ok'])]);
  check(
    'messages of 900, 200 and 2 bytes',
    large.map((text) => text.slice(0, 8)),
    ['echo xxx', 'too much', 'echo ok'],
  );
  clock.advance('1s');
  check('a second later', await talk(open[0], ['hello']), 'echo hello');

  console.log('An operator closes a session of another thread');
  check('found', sessions.close(open[0].session), true);
  await until(() => open[0].closedWith !== undefined);
  check('close code of its WebSocket', open[0].closedWith, 1001);
  check('open', sessions.count, 19);

  console.log('At most 10 openings per client and minute');
  for (const ws of open.filter((ws) => ws.readyState === WebSocket.OPEN).slice(0, 5)) ws.close();
  await until(() => sessions.count === 14);
  check('sessions of the first client', sessions.countFor('127.0.0.2'), 0);
  check('6 more, of which 4 openings are left', await tryOpen(6, '127.0.0.2'), 4);
  clock.advance('6s');
  check('2 more six seconds later, when one has come back', await tryOpen(2, '127.0.0.2'), 1);

  console.log('Behind a proxy each client has its own limit of 6');
  for (const ws of open.filter((ws) => ws.readyState === WebSocket.OPEN).slice(0, 11)) ws.close();
  await until(() => sessions.count === 8);
  for (const client of ['203.0.113.1', '203.0.113.2']) {
    check(`7 sessions of ${client}`, await tryOpen(7, PROXY, client), 6);
  }
  check('open, and counted for the proxy itself', [sessions.count, sessions.countFor(PROXY)], [20, 0]);

  console.log('A thread dies, which closes its sessions');
  const { perThread } = sessions.stats();
  const [doomed] = workers.filter(({ threadId }) => perThread[threadId] > 0);
  const left = 20 - perThread[doomed.threadId];
  await doomed.terminate();
  await until(() => sessions.count === left);
  check('open', sessions.count, left);

  console.log('All clients disconnect');
  for (const ws of open) ws.terminate();
  check('drained', await sessions.drain({ timeout: '5s' }), true);
  const { count, opened, closed, refused, messages, bytes } = sessions.stats();
  check('open, opened, closed', [count, opened, closed], [0, 37, 37]);
  check('refused by max, maxPerClient, opens', [refused.max, refused.maxPerClient, refused.opens], [6, 8, 3]);
  check('messages allowed and refused', [messages.allowed, messages.refused], [23, 13]);
  check('bytes allowed and refused', [bytes.allowed, bytes.refused], [1007, 260]);

  clock.restore();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
