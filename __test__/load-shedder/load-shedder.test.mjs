// LoadShedder: what one thread admits and sheds by the laps of its event loop, options, life, and what all threads count.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import sluice from '../../index.js';
import turns from '../../lib/load-shedder/turns.js';
import testing from '../../lib/testing.js';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { LoadShedder } = sluice;

const clock = stopClock();
const freshName = freshNames('shedder');
const shedder = (options = {}) => new LoadShedder(freshName(), options);

const turn = () => new Promise(setImmediate);

/** A lap of so many milliseconds, as the clock has it, in which one request is asked for. It ends with the next turn. */
async function lap(shedding, ms) {
  await turn();
  assert.equal(shedding.admit(), true);
  clock.advance(ms);
}

/** A lap begins, and the thread is behind. */
async function fallBehind(shedding) {
  for (let n = 0; n < 3; n++) await lap(shedding, 60);
  await turn();
  assert.equal(shedding.isBehind, true);
}

function shedsByLaps() {
  test('short laps shed nothing', async () => {
    const shedding = shedder();
    for (let n = 0; n < 10; n++) await lap(shedding, 50);
    await turn();
    assert.deepEqual([shedding.isBehind, shedding.stats().shed], [false, { high: 0, normal: 0, low: 0 }]);
    assert.equal(shedding.delayMs, 50);
  });

  test('a thread that is behind sheds what waited longer than the target, and high twice as late', async () => {
    const shedding = shedder();
    await fallBehind(shedding);
    clock.advance(50);
    assert.equal(shedding.admit(), true);
    clock.advance(1);
    const admitted = ['high', 'normal', 'low', 'exempt'].map((priority) => shedding.admit(priority));
    assert.deepEqual(admitted, [true, false, false, true]);
    clock.advance(50);
    assert.deepEqual([shedding.admit('high'), shedding.admit('exempt')], [false, true]);
    assert.deepEqual(shedding.stats().shed, { high: 1, normal: 1, low: 1 });
  });

  test('one stall sheds only after four targets', async () => {
    const shedding = shedder({ targetDelay: '10ms' });
    await lap(shedding, 40);
    assert.equal(shedding.admit(), true);
    clock.advance(1);
    assert.equal(shedding.admit(), false);
    assert.equal(shedding.delayMs, 41);
  });

  test('a short lap ends it', async () => {
    const shedding = shedder();
    await fallBehind(shedding);
    clock.advance(1);
    await turn();
    assert.equal(shedding.isBehind, false);
  });
}

describe('laps measured by the runtime', shedsByLaps);

test('stats: counts by priority, laps and the control group', async () => {
  const shedding = shedder();
  await lap(shedding, 7);
  await lap(shedding, 3);
  await turn();
  assert.equal(shedding.admit('high'), true);
  const { admitted, shed, laps, threads, behind, cpu } = shedding.stats();
  assert.deepEqual(admitted, { high: 1, normal: 2, low: 0, exempt: 0 });
  assert.deepEqual(shed, { high: 0, normal: 0, low: 0 });
  assert.deepEqual([laps, threads, behind], [{ count: 2, totalMs: 10, longestMs: 7 }, 1, 0]);
  if (cpu !== null) {
    const { periods, throttled, throttledMs } = cpu;
    assert.ok([periods, throttled, throttledMs].every((one) => Number.isInteger(one) && one >= 0));
  }
});

test('all threads share the counts and the target, also of ended threads; each has its own laps', async (t) => {
  const shedding = shedder();
  await fallBehind(shedding);
  const peers = startPeers(t, 3);
  const ask = ({ load, state }, name) => {
    state.shedding = new (load().LoadShedder)(name);
    for (let n = 0; n < 100; n++) state.shedding.admit('low');
    return state.shedding.isBehind;
  };
  assert.deepEqual(await Promise.all(peers.map((peer) => peer.run(ask, shedding.name))), [
    false,
    false,
    false,
  ]);
  // Where laps are counted by a callback, the lap that waited for the peers has ended, and was short.
  await fallBehind(shedding);
  assert.deepEqual([shedding.stats().threads, shedding.stats().behind], [4, 1]);
  await Promise.all(peers.map((peer) => peer.end()));
  await until(() => shedding.stats().threads, 1);
  assert.equal(shedding.stats().admitted.low, 300);
});

test('reconfigure changes the target of all threads, and the first options still attach', async (t) => {
  const shedding = shedder({ targetDelay: 50 });
  shedding.reconfigure({ targetDelay: '5ms' });
  new LoadShedder(shedding.name, { targetDelay: '50ms' });
  const [peer] = startPeers(t, 1);
  const stall = ({ load, require }, name) => {
    const shedding = new (load().LoadShedder)(name);
    shedding.admit();
    const native = require('../../lib/runtime/native.js').native;
    native.advanceClock(21);
    return shedding.admit();
  };
  assert.equal(await peer.run(stall, shedding.name), false);
});

describe('bad input', () => {
  for (const targetDelay of [4, '4ms', 10_001, '11s', 0, -1, 1.5, '50', null, Number.NaN]) {
    test(`targetDelay ${JSON.stringify(targetDelay)}`, () => {
      assert.throws(() => shedder({ targetDelay }), {
        code: 'ERR_SLUICE_INVALID_OPTION',
        message: /LoadShedder targetDelay is .*; accepted: /,
      });
      const shedding = shedder();
      assert.throws(() => shedding.reconfigure({ targetDelay }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    });
  }

  test('unknown options, names and other options than those in force', () => {
    assert.throws(() => shedder({ target: 50 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
    assert.throws(() => new LoadShedder(''), { code: 'ERR_SLUICE_INVALID_NAME' });
    assert.throws(() => new LoadShedder('missing'), { code: 'ERR_SLUICE_NOT_FOUND' });
    const { name } = shedder({ targetDelay: 40 });
    assert.throws(() => new LoadShedder(name, {}), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
      message: /targetDelay = 40 ms; given: 50 ms/,
    });
    assert.equal(new LoadShedder(name, { targetDelay: '40ms' }).admit(), true);
  });

  test('a priority that is none', () => {
    const shedding = shedder();
    for (const priority of ['urgent', '', 'toString', '__proto__', 0, null, {}, Symbol('high')]) {
      assert.throws(() => shedding.admit(priority), {
        code: 'ERR_SLUICE_INVALID_VALUE',
        message: /^priority is .*; accepted: "high", "normal", "low", "exempt"$/,
      });
    }
    assert.deepEqual(shedding.stats().admitted, { high: 0, normal: 0, low: 0, exempt: 0 });
  });
});

test('a destroyed shedder is closed for all its objects, and its name is free', () => {
  const shedding = shedder();
  assert.deepEqual([LoadShedder.destroy(shedding.name), LoadShedder.destroy(shedding.name)], [true, false]);
  const closed = { code: 'ERR_SLUICE_CLOSED' };
  const calls = [
    () => shedding.admit(),
    () => shedding.isBehind,
    () => shedding.delayMs,
    () => shedding.stats(),
    () => shedding.reconfigure({ targetDelay: 60 }),
  ];
  for (const call of calls) assert.throws(call, closed);
  assert.equal(new LoadShedder(shedding.name, { targetDelay: 60 }).admit(), true);
});

test('reset empties it, and the next construction sets the options', async () => {
  const shedding = shedder();
  await fallBehind(shedding);
  testing.reset();
  assert.equal(shedding.isBehind, false);
  assert.deepEqual(shedding.stats().admitted, { high: 0, normal: 0, low: 0, exempt: 0 });
  new LoadShedder(shedding.name, { targetDelay: 5 });
  await lap(shedding, 21);
  assert.equal(shedding.admit(), false);
});

test('a clock that is set back leaves nothing behind', async () => {
  const shedding = shedder();
  await fallBehind(shedding);
  clock.set(1_000);
  assert.deepEqual([shedding.admit('low'), shedding.isBehind, shedding.delayMs], [true, false, 0]);
});

describe('laps measured by a callback at their end, where the runtime does not tell of them', () => {
  before(() => turns.countTurns());
  shedsByLaps();
});
