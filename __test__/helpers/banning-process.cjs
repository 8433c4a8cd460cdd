// A machine of a fleet that shares bans: constructs a reputation, says `ready`, and runs what its parent sends:
// `{ id, method, args }`. Sends the result, and each event of a ban.
// `node banning-process.cjs <name> <options>`; with `ahead` among them the clock of the process is so many ms ahead.
'use strict';

const { Reputation } = require('../../index.js');
const { manualClock } = require('../../lib/testing.js');

const [name, text] = process.argv.slice(2);
const { ahead, ...options } = JSON.parse(text);
if (ahead !== undefined) manualClock().advance(ahead);

const reputation = new Reputation(name, options);
for (const event of ['ban', 'unban']) {
  reputation.on(event, (change) => process.send({ event, at: Date.now(), ...change }));
}

process.on('message', async ({ id, method, args }) => {
  try {
    process.send({ id, at: Date.now(), result: await reputation[method](...args) });
  } catch ({ code, message }) {
    process.send({ id, error: { code, message } });
  }
});
