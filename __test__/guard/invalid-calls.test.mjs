// Invalid arguments of a guard are a SluiceError that says what was given.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshNames } from '../helpers/setup.mjs';

const { createGuard } = sluice;

const freshName = freshNames('guard-invalid-calls');
const REQUEST = { headers: {}, socket: { remoteAddress: '192.0.2.1' }, url: '/' };
const NO_OBJECTS = [
  [undefined, 'undefined'],
  [null, 'null'],
  [7, '7'],
  ['/', '"/"'],
  [() => {}, 'a function'],
];

const invalid = (what, shown, accepted) => ({
  name: 'SluiceError',
  code: 'ERR_SLUICE_INVALID_VALUE',
  message: `${what} is ${shown}; accepted: ${accepted}`,
});

for (const [method, ...more] of [['check'], ['clientOf'], ['record', 'login-failed']]) {
  test(`${method}() refuses what is no request`, () => {
    const guard = createGuard(freshName(), { monitor: { rules: [] } });
    for (const [request, shown] of NO_OBJECTS) {
      const error = invalid('request', shown, 'a request of Node.js, Express or Fastify');
      assert.throws(() => guard[method](request, ...more), error);
    }
    const { allowed, recorded, faults } = guard.stats();
    assert.deepEqual([allowed, recorded, faults], [0, 0, 0]);
  });
}

test('check() refuses what is no response, and charges nothing', () => {
  const guard = createGuard(freshName());
  for (const [response, shown] of NO_OBJECTS.slice(1)) {
    const accepted = 'a response of Node.js or Express, or a reply of Fastify';
    assert.throws(() => guard.check(REQUEST, response), invalid('response', shown, accepted));
  }
  assert.equal(guard.limiter.peek('192.0.2.1').remaining, 100);
});

test('a list with a hole is refused', () => {
  const guard = createGuard(freshName());
  // biome-ignore lint/suspicious/noSparseArray: a hole is no guard
  assert.throws(() => sluice.metrics({ guards: [, guard] }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: 'metrics guards is undefined; accepted: an array of guards, or of names of guards that exist',
  });
  // biome-ignore lint/suspicious/noSparseArray: a hole is no origin
  const origin = [, 'https://app.example'];
  assert.throws(() => createGuard(freshName(), { cors: { origin } }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /^createGuard cors origin is undefined; accepted: "\*", an origin/,
  });
});
