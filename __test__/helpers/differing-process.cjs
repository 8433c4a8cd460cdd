// A machine of a fleet with options of its own: uses them until it is warned that another has others, and prints that.
// `node differing-process.cjs <task>`
'use strict';

const { setTimeout: delay } = require('node:timers/promises');
const sluice = require('../../index.js');

const { kind, name, redis, options } = JSON.parse(process.argv[2]);
const instance = new sluice[kind](name, { ...options, scope: { redis, timeout: '20s' } });
let isWarned = false;

process.on('warning', ({ code, message }) => {
  console.log(`${code} ${message}`);
  isWarned = true;
});

(async () => {
  await instance.ready({ timeout: '30s' });
  while (!isWarned) {
    if (kind === 'RateLimiter') await instance.consumeAsync('a');
    await delay(20);
  }
  // The process has nothing left to do.
})();
