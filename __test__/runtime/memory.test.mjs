// What tables take of memory: nothing before clients come, and nothing after `destroy`. Bounds are wide: they tell
// pages that were taken from pages that were not.
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

const onLinux = { skip: process.platform !== 'linux' && 'resident memory is told apart on Linux only' };
const memory = Math.min(os.totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY);

/** Tests that refuse a number by this machine's memory. */
const fitsMachine = { skip: memory > 140 * 2 ** 30 && 'this machine has the memory' };

test('maxKeys beyond the memory of the machine is refused with its bytes', fitsMachine, () => {
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

test('the same bound holds for several limits, for guards, and for an attach', fitsMachine, () => {
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

test('other tables refuse what the machine does not have as well', fitsMachine, () => {
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

test('the largest of every other size option makes an instance or an error', () => {
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

test(
  'a table for which there is no address space is an error, not the end of the process',
  onLinux,
  async () => {
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
    assert.match(
      stdout,
      /^ERR_SLUICE_INVALID_OPTION RateLimiter maxKeys is 400000000, which takes \d+ bytes/,
    );
  },
);

test('fifty limiters without clients take no pages', onLinux, async () => {
  assert.ok((await measure('emptyLimiters')) < 20);
});

test('a limiter for twenty million takes no pages, with huge pages or without', onLinux, async () => {
  assert.ok((await measure('emptyLargeLimiter')) < 20);
});

test('limiters with an exact bound and several limits take no pages', onLinux, async () => {
  assert.ok((await measure('emptySmallLimiters')) < 20);
});

test('a monitor for ten million clients and a million events takes few pages', onLinux, async () => {
  assert.ok((await measure('emptyMonitor')) < 20);
});

test(
  'three hundred limiters made, used and destroyed in one piece of JavaScript leave nothing',
  onLinux,
  async () => {
    assert.ok((await measure('destroyedLimiters')) < 30);
  },
);

test(
  'destroy gives the table back though two threads hold it, one of them in Atomics.wait',
  onLinux,
  async () => {
    const { freed, late } = await measure('destroyedWhileHeld');
    assert.ok(freed > 10, `${freed} MiB`);
    assert.equal(late, 'ERR_SLUICE_CLOSED');
  },
);

test('V8 is told of the pages in use, once, and that they are gone', onLinux, async () => {
  const { empty, own, all, destroyed } = await measure('reported');
  // Five thousand clients lie close together.
  assert.ok(empty < 0.1 && own > 0.1 && own < 1, `${empty}, ${own}`);
  // A hundred thousand are in nearly all pages of the table: 22 MiB, told by one of two threads.
  assert.ok(all > 15 && all < 35, `${all}`);
  assert.ok(destroyed < 0.1, `${destroyed}`);
});
