'use strict';

// Socket.IO in four worker threads: at most four connections and twenty-four messages a minute of one user. A connection
// begins with a message of its own, by which the client joins its namespace.

const { RateLimiter } = require('sluice');
const { io } = require('socket.io-client');
const { check, repeat, startWorkers, tally, until } = require('../stage');

/** A connected client, or the text of the refusal. */
function connect(port, user) {
  const options = { forceNew: true, reconnection: false, transports: ['websocket'] };
  const client = io(`http://127.0.0.1:${port}`, { ...options, extraHeaders: { 'x-user': user } });
  client.slowed = 0;
  client.on('slow down', () => {
    client.slowed += 1;
  });
  return new Promise((resolve) => {
    client.once('connect', () => resolve({ outcome: 'connected', client }));
    client.once('connect_error', ({ description }) => resolve({ outcome: description.message }));
  });
}

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const outcomes = (answers) => tally(answers.map(({ outcome }) => outcome).sort());

  const attempts = await repeat(7, 7, () => connect(port, 'ada'));
  check('7 connections of ada', outcomes(attempts), 'Unexpected server response: 503 × 3, connected × 4');
  check('1 connection of bob', outcomes([await connect(port, 'bob')]), 'connected × 1');

  const clients = attempts.filter(({ client }) => client !== undefined).map(({ client }) => client);
  const echoes = [];
  for (const client of clients)
    for (let i = 0; i < 8; i++) client.emit('say', i, (echo) => echoes.push(echo));
  const messages = new RateLimiter('rooms:messages');
  await until(() => echoes.length === 20 && clients.reduce((sum, { slowed }) => sum + slowed, 0) === 12);
  check('32 messages of ada: echoed', echoes.length, 20);
  check(
    'refused, of which the client was told',
    clients.reduce((sum, { slowed }) => sum + slowed, 0),
    12,
  );
  check('connections that stayed open', clients.filter(({ connected }) => connected).length, 4);
  check('messages admitted, those of bob too', messages.stats().allowed, 25);

  for (const { client } of attempts) client?.disconnect();
  await Promise.all(workers.map((worker) => worker.terminate()));
  process.exit();
}

main();
