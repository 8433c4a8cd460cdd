'use strict';

// Until it is killed: bans the next client, saves, and prints its number. `node saving-process.cjs <file> <first>`

const fs = require('node:fs');
const { Reputation } = require('../..');

const [file, first] = process.argv.slice(2);
const rules = { maxFailures: 3, findTime: '1d', banTime: '1h', maxBanTime: '30d' };
const reputation = new Reputation('saving', rules);
if (fs.existsSync(file)) reputation.load(file);

for (let n = Number(first); ; n++) {
  reputation.ban(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, { duration: Number.POSITIVE_INFINITY });
  reputation.save(file);
  // Synchronous: every printed number has been saved.
  fs.writeSync(1, `${n}\n`);
}
