// What the limiters of sluice/rate-limiter-flexible share, and which version of the package they need.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import Module, { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import stores from '../../lib/stores/rate-limiter-flexible.js';
import { freshNames } from '../helpers/setup.mjs';

const require = createRequire(import.meta.url);
const { HitCounter } = sluice;
const { RateLimiterMemory } = stores;
const freshName = freshNames('rlfn');
const DAY = 86_400;

/** Four threads that consume one key as often, started at once. */
async function fourThreads(t, options) {
  const url = new URL('../helpers/rate-limiter-flexible-worker.mjs', import.meta.url);
  const workers = Array.from({ length: 4 }, () => new Worker(url, { workerData: options }));
  t.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const answers = workers.map((worker) => once(worker, 'message'));
  for (const worker of workers) worker.postMessage('consume');
  return (await Promise.all(answers)).map(([answer]) => answer);
}

test('four threads share the points, and the block begins once', async (t) => {
  const shared = { name: freshName(), points: 300, duration: DAY, blockDuration: 30 * DAY };
  const answers = await fourThreads(t, { ...shared, calls: 250 });
  assert.equal(
    answers.reduce((sum, { resolved }) => sum + resolved, 0),
    300,
  );
  const counts = answers.flatMap((answer) => answer.counts).sort((a, b) => a - b);
  assert.deepEqual(
    counts,
    Array.from({ length: 1000 }, (_, i) => i + 1),
  );
  const begun = answers.flatMap((answer) => answer.begun).sort((a, b) => a - b);
  assert.deepEqual(begun, [1, 301], 'the window, and the block');
  const { msBeforeNext } = await new RateLimiterMemory(shared).get('ada');
  assert.ok(msBeforeNext > 29 * DAY * 1000 && msBeforeNext <= 30 * DAY * 1000);
});

describe('names', () => {
  const options = { points: 5, duration: DAY };
  const consumed = async (limiter) => (await limiter.consume('ada')).consumedPoints;

  test('limiters of one prefix count together', async () => {
    const keyPrefix = freshName();
    assert.equal(await consumed(new RateLimiterMemory({ ...options, keyPrefix })), 1);
    assert.equal(await consumed(new RateLimiterMemory({ ...options, keyPrefix })), 2);
  });

  test('limiters of one name and different prefixes share a table only', async () => {
    const name = freshName();
    const limiters = ['a', 'b', undefined].map(
      (keyPrefix) => new RateLimiterMemory({ ...options, name, ...(keyPrefix && { keyPrefix }) }),
    );
    for (const limiter of limiters) assert.equal(await consumed(limiter), 1);
    assert.throws(() => new RateLimiterMemory({ ...options, name, maxKeys: 5 }), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
    });
  });

  test('limiters without either count alone, and their thread is warned once', async () => {
    const warnings = [];
    const keep = (warning) => warnings.push(warning);
    process.on('warning', keep);
    for (const keyPrefix of [undefined, 'rlflx', '']) {
      const given = { ...options, ...(keyPrefix !== undefined && { keyPrefix }) };
      const [a, b] = [new RateLimiterMemory(given), new RateLimiterMemory(given)];
      assert.deepEqual([await consumed(a), await consumed(a), await consumed(b)], [1, 2, 1], keyPrefix);
    }
    await new Promise(setImmediate);
    process.off('warning', keep);
    assert.deepEqual(
      warnings.filter(({ name }) => name === 'SluiceWarning').map(({ code }) => code),
      ['SLUICE_UNNAMED_LIMITER'],
    );
  });
});

describe('the counter of a limiter without a name', () => {
  const code = (body) => `
    const { HitCounter } = require('${require.resolve('../../lib/hit-counter')}');
    const { destroy } = HitCounter;
    const destroyed = [];
    HitCounter.destroy = (name) => destroyed.push([name, destroy(name)]);
    const { RateLimiterMemory } = require('${require.resolve('../../lib/stores/rate-limiter-flexible.js')}');
    const limited = () => new RateLimiterMemory({ points: 5, duration: ${DAY} }).consume('ada');
    ${body}`;

  test('is destroyed when the limiter is collected', async () => {
    const collects = code(`
      limited();
      (async () => {
        while (destroyed.length === 0) {
          gc();
          await new Promise(setImmediate);
        }
        console.log(JSON.stringify(destroyed.map(([, existed]) => existed)));
      })();`);
    const args = ['--expose-gc', '--no-warnings', '-e', collects];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
    assert.deepEqual(JSON.parse(stdout), [true]);
  });

  test('is destroyed when the thread exits', async () => {
    const exits = code(`
      const { parentPort } = require('node:worker_threads');
      limited();
      process.on('exit', () => parentPort.postMessage(destroyed));`);
    const worker = new Worker(exits, { eval: true });
    const [[destroyed]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    assert.equal(destroyed.length, 1);
    const [[name, existed]] = destroyed;
    assert.equal(existed, true);
    assert.throws(() => new HitCounter(name), { code: 'ERR_SLUICE_NOT_FOUND' });
  });
});

describe('the package', () => {
  const paths = ['rate-limiter-flexible', 'rate-limiter-flexible-peer'].map((file) =>
    require.resolve(`../../lib/stores/${file}.js`),
  );
  const manifest = require.resolve('rate-limiter-flexible/package.json');
  require(manifest);

  /** Loads the limiter anew, with this manifest of the package. */
  function loadWith(t, exports) {
    const saved = [...paths, manifest].map((path) => [path, require.cache[path]]);
    t.after(() => {
      for (const [path, loaded] of saved) require.cache[path] = loaded;
    });
    for (const path of paths) delete require.cache[path];
    require.cache[manifest] = { ...require.cache[manifest], exports };
    return require(paths[0]);
  }

  test('of another version is refused', (t) => {
    assert.throws(() => loadWith(t, { version: '10.0.1' }), {
      code: 'ERR_SLUICE_UNSUPPORTED_VERSION',
      message:
        'rate-limiter-flexible, which sluice/rate-limiter-flexible extends, is version 10.0.1; accepted: version 11',
    });
  });

  test('that is not installed', (t) => {
    const resolve = Module._resolveFilename;
    t.mock.method(Module, '_resolveFilename', function (request, ...rest) {
      const name = request === 'rate-limiter-flexible/package.json' ? `${request}.absent` : request;
      return resolve.call(this, name, ...rest);
    });
    assert.throws(() => loadWith(t, {}), {
      code: 'ERR_SLUICE_UNSUPPORTED_VERSION',
      message:
        'rate-limiter-flexible, which sluice/rate-limiter-flexible extends, is not installed; accepted: version 11',
    });
  });

  test('of this version is taken', (t) => {
    assert.equal(typeof loadWith(t, { version: '11.0.0' }).RateLimiterMemory, 'function');
  });
});
