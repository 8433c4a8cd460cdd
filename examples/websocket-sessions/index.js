'use strict';

// WebSockets over four worker threads: so many at once, of one client, and per minute; so many messages and bytes per
// second on each. Then an operator, in another thread, ends one session, clients come through a proxy, and a thread dies.

const { ConnectionTracker } = require('sluice');
const { manualClock } = require('sluice/testing');
const { WebSocket } = require('ws');
const { check, repeat, startWorkers, tally, until } = require('../stage');

const PROXY = '127.0.0.100';

/** A socket that has been told the id of its session; null when it was refused. `behind` is the client of a proxy. */
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

/** What the server answers to each of these messages. */
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

  console.log('At most 6 of one client, 20 in all');
  for (const [from, expected] of [
    ['127.0.0.2', 6],
    ['127.0.0.3', 6],
    ['127.0.0.4', 6],
    ['127.0.0.5', 2],
  ]) {
    check(`8 sessions of ${from}`, await tryOpen(8, from), expected);
  }
  check('open', sessions.count, 20);

  console.log('5 messages and 1000 bytes in a second, on each');
  const short = await Promise.all(open.slice(0, 4).map((ws) => talk(ws, Array(8).fill('hello'))));
  check('8 short messages on each of four', tally(short.flat().sort()), 'echo hello × 20, too much × 12');
  const [large] = await Promise.all([talk(open[4], ['x'.repeat(900), 'x'.repeat(200), 'ok'])]);
  check(
    '900 bytes, 200 more, and 2',
    large.map((text) => text.slice(0, 8)),
    ['echo xxx', 'too much', 'echo ok'],
  );
  clock.advance('1s');
  check('a second later', await talk(open[0], ['hello']), 'echo hello');

  console.log('An operator ends one session, wherever it is');
  check('found', sessions.close(open[0].session), true);
  await until(() => open[0].closedWith !== undefined);
  check('its WebSocket was closed with', open[0].closedWith, 1001);
  check('open', sessions.count, 19);

  console.log('At most 10 openings of one client in a minute');
  for (const ws of open.filter((ws) => ws.readyState === WebSocket.OPEN).slice(0, 5)) ws.close();
  await until(() => sessions.count === 14);
  check('all six of the first client are gone', sessions.countFor('127.0.0.2'), 0);
  check('6 more of it, of which 4 are left', await tryOpen(6, '127.0.0.2'), 4);
  clock.advance('6s');
  check('six seconds later there is one more', await tryOpen(2, '127.0.0.2'), 1);

  console.log('Behind a proxy each client has its own 6');
  for (const ws of open.filter((ws) => ws.readyState === WebSocket.OPEN).slice(0, 11)) ws.close();
  await until(() => sessions.count === 8);
  for (const client of ['203.0.113.1', '203.0.113.2']) {
    check(`7 sessions of ${client}`, await tryOpen(7, PROXY, client), 6);
  }
  check('open, of them the proxy’s own', [sessions.count, sessions.countFor(PROXY)], [20, 0]);

  console.log('A thread dies, and its sessions with it');
  const { perThread } = sessions.stats();
  const [doomed] = workers.filter(({ threadId }) => perThread[threadId] > 0);
  const left = 20 - perThread[doomed.threadId];
  await doomed.terminate();
  await until(() => sessions.count === left);
  check('open', sessions.count, left);

  console.log('All hang up');
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
