'use strict';

// A process whose reputation a file keeps: bans clients and ends in one of several ways.
// `node keeping-process.cjs <file> <way> <first>`

const { writeSync } = require('node:fs');
const { isMainThread, Worker, workerData } = require('node:worker_threads');
const { Lifecycle, Reputation } = require('../..');

const [file, way, first] = isMainThread ? process.argv.slice(2) : workerData;
const RULES = { maxFailures: 3, findTime: '1d', banTime: '1h', maxBanTime: '30d' };
const every = way === 'forever' ? 1 : '1h';

const open = () => new Reputation('kept', { ...RULES, persist: { path: file, every } });
const ban = (reputation, n) => reputation.ban(`10.0.${n >> 8}.${n & 255}`, { duration: '30d' });

const WAYS = {
  /** Ends when nothing is left to do: the writes keep no process alive. */
  return: () => {},
  exit: () => process.exit(3),
  throw: () => {
    throw new Error('on purpose');
  },
  /** Bans for as long as it is let. Each number that it prints was banned. */
  forever: (reputation) => {
    let n = Number(first);
    setInterval(() => {
      for (let i = 0; i < 20; i++) ban(reputation, n++);
      writeSync(1, `${n}\n`);
    }, 1);
  },
  shutdown: () => {
    const lifecycle = new Lifecycle('kept').ready();
    // Nothing else keeps the process alive, and it is killed: only the shutdown may have written.
    lifecycle.shutdown().then(() => process.kill(process.pid, 'SIGKILL'));
  },
};

if (isMainThread && way === 'worker') {
  // The main thread knows nothing of the reputation.
  new Worker(__filename, { argv: process.argv.slice(2), workerData: [file, 'return', first] });
} else {
  const reputation = open();
  ban(reputation, Number(first));
  WAYS[way](reputation);
}
