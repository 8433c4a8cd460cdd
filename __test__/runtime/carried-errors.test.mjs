// Errors that cross threads, in a Broker and in a ClientHub: class, fields, causes and stack.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import carried from '../../lib/runtime/carried-error.js';
import { join } from '../helpers/broker.mjs';
import { freshName, startPeers } from '../helpers/peer.mjs';

const { ClientHub, SluiceError } = sluice;

/** Makes the error named `what` in another thread. The function travels as text: see `peer.mjs`. */
const make = ({ load, require }, what) => {
  const chain = (length) => {
    let error = new Error('the first');
    for (let link = 1; link < length; link++) error = new Error(`link ${link}`, { cause: error });
    return error;
  };
  class HttpError extends RangeError {
    get name() {
      return 'HttpError';
    }
  }
  const MAKE = {
    aggregate: () =>
      new AggregateError(
        [new TypeError('one', { cause: new Error('why') }), 'two', { three: 3 }],
        'all failed',
      ),
    fields: () =>
      Object.assign(new Error('no'), { status: 404, headers: { 'retry-after': [1, 2n] }, code: 'E_NO' }),
    'errors of its own': () => Object.assign(new Error('invalid'), { errors: [new SyntaxError('field')] }),
    'no plain fields': () =>
      Object.defineProperty(
        Object.assign(new Error('no'), { fn() {}, at: new Date(), deep: new (class {})(), ok: 1 }),
        'getter',
        { enumerable: true, get: () => 'ran' },
      ),
    subclass: () => Object.assign(new HttpError('teapot'), { status: 418 }),
    abort: () => new DOMException('enough', 'AbortError'),
    wasm: () => new WebAssembly.CompileError('bytes'),
    realm: () => require('node:vm').runInNewContext("new URIError('elsewhere')"),
    sluice: () => Object.assign(new (load().SluiceError)('NOT_FOUND', 'nothing there'), { key: 'a' }),
    system: () => {
      try {
        require('node:fs').readFileSync('/nowhere/at/all');
      } catch (error) {
        return error;
      }
    },
    itself: () => {
      const error = new Error('round');
      error.cause = new Error('and round', { cause: error });
      return error;
    },
    chain: () => chain(200),
    'long chain': () => chain(10_000),
    'hostile name': () =>
      Object.defineProperty(new Error('x'), 'name', {
        get: () => {
          throw new Error('no name');
        },
      }),
    proxy: () => new Proxy(new TypeError('behind'), {}),
    'named __proto__': () =>
      Object.defineProperty(new Error('x'), '__proto__', { enumerable: true, value: { polluted: true } }),
  };
  return MAKE[what]();
};

/** A function that makes another thread throw the named error from a handler and from an initialiser; both arrive here. */
async function throwElsewhere(t) {
  const broker = join(t);
  const hub = new ClientHub(freshName());
  const [peer] = startPeers(t, 1);
  await peer.run(
    ({ load, require, state }, { brokerName, hubName, text }) => {
      const make = (what) => require('node:vm').runInThisContext(`(${text})`)({ load, require }, what);
      state.hub = new (load().ClientHub)(hubName);
      new (load().Broker)(brokerName).handle('throw', (what) => {
        throw make(what);
      });
      state.lead = (what, words) =>
        state.hub.getOrInit(what, async () => {
          Atomics.store(words, 0, 1);
          while (Atomics.load(words, 0) === 1) await new Promise(setImmediate);
          throw make(what);
        });
    },
    { brokerName: broker.name, hubName: hub.name, text: String(make) },
  );
  const thrown = (promise) =>
    promise.then(
      () => assert.fail('nothing was thrown'),
      (error) => error,
    );
  return async (what) => {
    const ofBroker = await thrown(broker.call('throw', what));
    const words = new Int32Array(new SharedArrayBuffer(4));
    const led = peer.run(({ state }, { what, words }) => state.lead(what, words).catch(() => {}), {
      what,
      words,
    });
    while (Atomics.load(words, 0) === 0) await new Promise(setImmediate);
    const ofHub = thrown(hub.getOrInit(what, () => assert.fail('this initialiser must not run')));
    while (hub.stats().waiting === 0) await new Promise(setImmediate);
    Atomics.store(words, 0, 2);
    await led;
    return [ofBroker, await ofHub];
  };
}

const CHECKS = {
  aggregate: (error) => {
    assert.ok(error instanceof AggregateError);
    assert.equal(error.message, 'all failed');
    const [one, ...rest] = error.errors;
    assert.ok(one instanceof TypeError && one.message === 'one' && one.cause.message === 'why');
    assert.deepEqual(rest, ['two', { three: 3 }]);
    assert.deepEqual(Object.keys(error), []);
  },
  fields: (error) => {
    assert.deepEqual({ ...error }, { status: 404, headers: { 'retry-after': [1, 2n] }, code: 'E_NO' });
  },
  'errors of its own': (error) => {
    assert.deepEqual(Object.keys(error), ['errors']);
    assert.ok(error.errors[0] instanceof SyntaxError && error.errors[0].message === 'field');
  },
  'no plain fields': (error) => assert.deepEqual({ ...error }, { ok: 1 }),
  subclass: (error) => {
    assert.ok(error instanceof RangeError);
    assert.deepEqual([error.name, error.message, error.status], ['HttpError', 'teapot', 418]);
    assert.match(error.stack, /^HttpError: teapot/);
  },
  abort: (error) => {
    assert.ok(error instanceof DOMException);
    assert.deepEqual([error.name, error.message, error.code], ['AbortError', 'enough', 20]);
  },
  wasm: (error) => assert.ok(error instanceof WebAssembly.CompileError && error.message === 'bytes'),
  realm: (error) => assert.ok(error instanceof URIError && error.message === 'elsewhere'),
  sluice: (error) => {
    assert.ok(error instanceof SluiceError);
    assert.deepEqual({ ...error }, { code: 'ERR_SLUICE_NOT_FOUND', key: 'a' });
  },
  system: (error) => {
    assert.deepEqual({ ...error }, { errno: -2, code: 'ENOENT', syscall: 'open', path: '/nowhere/at/all' });
  },
  itself: (error) => {
    assert.deepEqual([error.message, error.cause.message], ['round', 'and round']);
    assert.equal(error.cause.cause, error);
  },
  chain: (error) => assert.deepEqual(chainOf(error).at(-1), ['the first', undefined]),
  'long chain': (error) => {
    const links = chainOf(error);
    assert.equal(links.length, 257);
    assert.deepEqual(links[255], ['link 9744', undefined]);
    const [message, code] = links[256];
    assert.equal(code, 'ERR_SLUICE_INVALID_VALUE');
    assert.match(
      message,
      /^error\.cause\.cause.*….*cause is nested too deeply; accepted: at most 256 levels$/,
    );
  },
  'hostile name': (error) => assert.ok(error instanceof Error),
  proxy: (error) => assert.ok(error instanceof TypeError && error.message === 'behind'),
  'named __proto__': (error) => {
    assert.equal(error.polluted, undefined);
    assert.deepEqual(Object.keys(error), ['__proto__']);
  },
};

function chainOf(error) {
  const links = [];
  for (let rest = error; rest !== undefined; rest = rest.cause) links.push([rest.message, rest.code]);
  return links;
}

test('an error that crosses threads keeps its class, errors, causes and plain fields', async (t) => {
  const throwOne = await throwElsewhere(t);
  for (const [what, check] of Object.entries(CHECKS)) {
    for (const [where, error] of Object.entries(await throwOne(what))) {
      await t.test(`${what}, of a ${['broker', 'hub'][where]}`, () => {
        check(error);
        assert.equal(typeof error.remoteStack, 'string');
        assert.equal(Object.getOwnPropertyDescriptor(error, 'remoteStack').enumerable, false);
        for (const key of Object.getOwnPropertyNames(error)) {
          const { get } = Object.getOwnPropertyDescriptor(error, key);
          assert.ok(get === undefined || key === 'stack', `${key} is a getter`);
        }
        assert.match(error.stack, /carried-error|rebuilt-error|error-classes|Error/);
        assert.doesNotMatch(error.stack, /evalmachine/, 'no frame of the other thread');
      });
    }
  }
});

test('remoteStack of an error that crossed two threads contains both stacks', () => {
  const once = carried.unpackError(carried.packError(new Error('far')));
  const twice = carried.unpackError(carried.packError(once));
  assert.ok(
    twice.remoteStack.includes(once.remoteStack) && twice.remoteStack.length > once.remoteStack.length,
  );
});

test('bytes that do not encode an error are unpacked as an INVALID_VALUE error', () => {
  for (const bytes of [Buffer.from('nothing'), Buffer.alloc(0)]) {
    assert.equal(carried.unpackError(bytes).code, 'ERR_SLUICE_INVALID_VALUE');
  }
});
