// Resident memory of tables: none before clients arrive, none after `destroy()`. The bounds, in MiB, are wide: they only
// distinguish memory that is in use from memory that is not.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import os from 'node:os';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';

const { ClientHub, CircuitBreaker, RateLimiter, Reputation, SecurityMonitor, createGuard } = sluice;

const file = fileURLToPath(new URL('../helpers/memory-process.cjs', import.meta.url));
const HOUR = { limit: 10, window: '1h' };

async function measure(...scenario) {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    file,
    JSON.stringify(scenario),
  ]);
  return JSON.parse(stdout);
}

const onLinux = { skip: process.platform !== 'linux' && 'resident memory is measured on Linux only' };
const memory = Math.min(os.totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY);

/** For sizes that exceed the memory of most machines. */
const fitsMachine = { skip: memory > 140 * 2 ** 30 && 'this machine has the memory' };

test('maxKeys beyond the memory of the machine throws with its size in bytes', fitsMachine, () => {
  for (const maxKeys of [2 ** 31 * 2 - 1, 2 ** 32]) {
    const made = () => new RateLimiter(freshName(), { ...HOUR, maxKeys });
    const message = new RegExp(
      `^RateLimiter maxKeys is ${maxKeys}, which takes \\d{12,} bytes when full; accepted: at`,
    );
    assert.throws(made, { name: 'SluiceError', code: 'ERR_SLUICE_INVALID_OPTION', message });
  }
  const accepted = new RegExp(`at most \\d+, as the machine or its control group has ${memory} bytes$`);
  assert.throws(() => new RateLimiter(freshName(), { ...HOUR, maxKeys: 2 ** 32 }), { message: accepted });
});

test('the same bound applies to several limits, guards and attaching', fitsMachine, () => {
  const limits = [
    { name: 'a', limit: 1, window: '1m' },
    { name: 'b', limit: 9, window: '1h' },
  ];
  const invalid = {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /maxKeys is 4294967296, which takes \d+ bytes/,
  };
  const maxKeys = 2 ** 32;
  assert.throws(() => new RateLimiter(freshName(), { limits, maxKeys }), invalid);
  assert.throws(() => createGuard(freshName(), { rateLimit: { ...HOUR, maxKeys } }), invalid);
  const { name } = new RateLimiter(freshName(), HOUR);
  assert.throws(() => new RateLimiter(name, { ...HOUR, maxKeys }), invalid);
  assert.ok(new RateLimiter(name, HOUR).tryConsume('client'));
});

test('a Reputation and a Broker have the same bound', fitsMachine, () => {
  const times = { maxFailures: 2, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
  assert.throws(() => new Reputation(freshName(), { ...times, maxClients: 2 ** 32 }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message:
      /^Reputation maxClients is 4294967296, which takes \d+ bytes when full; accepted: at most \d+, as/,
  });
  assert.throws(() => new sluice.Broker(freshName(), { inbox: 2 ** 31 - 1 }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /^Broker inbox is 2147483647, which takes \d+ bytes when full; accepted: at most \d+, as/,
  });
});

test('the maximum of every other size option creates an instance or throws', () => {
  const made = (make) => {
    try {
      return make() !== undefined;
    } catch (error) {
      return error.code === 'ERR_SLUICE_INVALID_OPTION';
    }
  };
  const largest = { history: 1_000_000, maxClients: 10_000_000 };
  assert.ok(made(() => new SecurityMonitor(freshName(), { rules: [], ...largest })));
  assert.ok(made(() => new ClientHub(freshName(), { maxEntries: 10_000_000 })));
  const window = { calls: 10_000 };
  assert.ok(made(() => new CircuitBreaker(freshName(), { openFor: '1s', window, maxPeers: 1_000_000 })));
});

test('a table that exceeds the address space throws instead of aborting the process', onLinux, async () => {
  const script = `
    const { RateLimiter } = require(${JSON.stringify(fileURLToPath(new URL('../..', import.meta.url)))});
    try {
      new RateLimiter('large', { limit: 1, window: '1h', maxKeys: 400_000_000 });
    } catch ({ code, message }) {
      console.log(code, message);
    }
    new RateLimiter('small', { limit: 1, window: '1h', maxKeys: 1000 }).tryConsume('client');`;
  const limited = `ulimit -v 10000000; exec "$0" -e "$1"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', limited, process.execPath, script]);
  assert.match(stdout, /^ERR_SLUICE_INVALID_OPTION RateLimiter maxKeys is 400000000, which takes \d+ bytes/);
});

test('fifty limiters without clients use no resident memory', onLinux, async () => {
  assert.ok((await measure('emptyLimiters')) < 20);
});

test(
  'a limiter for 20 million keys uses no resident memory, with huge pages or without',
  onLinux,
  async () => {
    assert.ok((await measure('emptyLargeLimiter')) < 20);
  },
);

test('limiters with an exact bound and several limits use no resident memory', onLinux, async () => {
  assert.ok((await measure('emptySmallLimiters')) < 20);
});

test(
  'a monitor for 10 million clients and a million events uses little resident memory',
  onLinux,
  async () => {
    assert.ok((await measure('emptyMonitor')) < 20);
  },
);

test(
  'destroying 300 used limiters without a turn of the event loop frees their memory',
  onLinux,
  async () => {
    assert.ok((await measure('destroyedLimiters')) < 30);
  },
);

test(
  'destroy() frees the table while two threads hold it, one of them blocked in Atomics.wait',
  onLinux,
  async () => {
    const { freed, late } = await measure('destroyedWhileHeld');
    assert.ok(freed > 10, `${freed} MiB`);
    assert.equal(late, 'ERR_SLUICE_CLOSED');
  },
);

test('memory in use is reported to V8 once for all threads, and its release too', onLinux, async () => {
  const { empty, own, all, destroyed } = await measure('reported');
  // The slots of 5000 clients lie close together.
  assert.ok(empty < 0.1 && own > 0.1 && own < 1, `${empty}, ${own}`);
  // 100 000 clients touch nearly all pages of the table: 22 MiB, reported by one of two threads.
  assert.ok(all > 15 && all < 35, `${all}`);
  assert.ok(destroyed < 0.1, `${destroyed}`);
});
