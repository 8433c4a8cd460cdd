// SluiceError: the class of every error of this package, with a stable code.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';

const { ConnectionTracker, RateLimiter, Registry, Semaphore, SluiceError, clientKey } = sluice;

const limiter = new RateLimiter(freshName(), { limit: 1, window: '1s' });
const tracker = new ConnectionTracker(freshName(), {});
tracker.tryOpen('192.0.2.1', { id: 'one' });
const destroyed = new Registry(freshName());
Registry.destroy(destroyed.name);

/** Calls that throw each code, from JavaScript and from native code. */
const MISTAKES = {
  INVALID_OPTION: [
    () => new RateLimiter('x', { limit: 0, window: 1 }),
    () => new RateLimiter('x', { limit: 3_000_000, window: '1s' }),
  ],
  INVALID_NAME: [() => new Registry('')],
  INVALID_KEY: [() => limiter.tryConsume(''), () => new Registry(freshName()).get('')],
  INVALID_COST: [() => limiter.tryConsume('a', 0)],
  INVALID_ADDRESS: [
    () => clientKey('nowhere'),
    () => tracker.tryOpen('nowhere'),
    () => tracker.countFor('nowhere'),
  ],
  INVALID_VALUE: [() => new Registry(freshName()).set('a', () => {})],
  NOT_FOUND: [() => new RateLimiter(freshName()), () => new Registry(freshName()).getOrThrow('a')],
  CONFIG_MISMATCH: [() => new RateLimiter(limiter.name, { limit: 2, window: '1s' })],
  CLOSED: [() => destroyed.version, () => destroyed.snapshot()],
  DUPLICATE_ID: [() => tracker.tryOpen('192.0.2.1', { id: 'one' })],
  UNSUPPORTED: [() => new Semaphore('x', { permits: 1, scope: { shared: true } })],
};

for (const [code, calls] of Object.entries(MISTAKES)) {
  test(`${code} is a SluiceError`, () => {
    for (const call of calls) {
      assert.throws(call, (error) => {
        assert.ok(error instanceof SluiceError && error instanceof Error);
        assert.equal(Object.getPrototypeOf(error), SluiceError.prototype);
        assert.deepEqual([error.name, error.code], ['SluiceError', `ERR_SLUICE_${code}`]);
        assert.equal(error.help, `sluice/docs/errors.md#err_sluice_${code.toLowerCase()}`);
        assert.match(error.stack, /^SluiceError: .+\n\s+at .*errors\.test\.mjs/s);
        return true;
      });
    }
  });
}

test('a warning without details of its own links to its place in the docs', async () => {
  const warned = once(process, 'warning');
  new RateLimiter(limiter.name, { limit: 2, window: '1s', onMismatch: 'reconfigure' });
  const [{ code, detail }] = await warned;
  assert.equal(code, 'SLUICE_RECONFIGURED');
  assert.equal(detail, 'See sluice/docs/errors.md#sluice_reconfigured');
});

test('a message quotes at most the start of a long value', () => {
  const long = 'x'.repeat(1_000_000);
  const calls = [
    () => new RateLimiter(long),
    () => new RateLimiter('x', { limit: long, window: 1 }),
    () => new RateLimiter('x', { limit: 1, window: long }),
    () => limiter.tryConsume('a', long),
    () => tracker.tryOpen(long),
  ];
  for (const call of calls) {
    assert.throws(call, ({ message }) => message.length < 400 && message.includes('xxx'), String(call));
  }
});

test('messages describe an object without calling its methods', () => {
  const trap = () => assert.fail('user code ran');
  const tricky = { toString: trap, valueOf: trap, [Symbol.toPrimitive]: trap, toJSON: trap };
  for (const call of [
    () => limiter.tryConsume(tricky),
    () => limiter.tryConsume('a', tricky),
    () => clientKey(tricky),
    () => new RateLimiter(tricky),
    () => new RateLimiter('x', { limit: tricky, window: 1 }),
    () => new Registry(freshName()).get(tricky),
  ]) {
    assert.throws(call, { name: 'SluiceError', message: /is an object; accepted/ });
  }
});
