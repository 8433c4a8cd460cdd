// A limiter of all processes of a machine: every call, as in the scope of the process.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { manualClock, reset } from '../../lib/testing.js';
import { filesIn, onLinux, sharedDirectory, startProcesses } from '../helpers/machine.mjs';
import { freshName, runInAll, startPeers } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

/** Nothing comes back during a test. */
const quota = (limit, scope) => ({ limit, window: '30d', scope });

function openLimiter(t, options) {
  const name = freshName();
  const directory = sharedDirectory(t);
  t.after(() => RateLimiter.destroy(name));
  const given = { ...quota(10, { shared: directory }), ...options };
  return { name, directory, options: given, limiter: new RateLimiter(name, given) };
}

test('every synchronous call works', onLinux, (t) => {
  const { limiter } = openLimiter(t);
  assert.equal(limiter.tryConsume('a'), true);
  assert.equal(limiter.tryConsume('a', 10), false);
  const decision = limiter.consume('a', 2);
  assert.deepEqual(
    { ...decision, resetAfterMs: 0 },
    { allowed: true, limit: 10, remaining: 7, resetAfterMs: 0, retryAfterMs: 0, policy: limiter.name },
  );
  limiter.refund('a', 1);
  assert.equal(limiter.peek('a').remaining, 8);
  limiter.penalize('a', 5);
  assert.equal(limiter.peek('a').remaining, 3);
  assert.equal(limiter.block('b', '1h'), true);
  assert.equal(limiter.tryConsume('b'), false);
  assert.equal(limiter.reset('b'), true);
  assert.equal(limiter.tryConsume('b'), true);
  assert.deepEqual(limiter.consumeMany(['a', 'a', 'a', 'a', 'c']), [true, true, true, false, true]);
  assert.equal(limiter.size, 3);
  limiter.clear();
  assert.equal(limiter.size, 0);
});

test('handles of keys and texts mean the same key', onLinux, (t) => {
  const { limiter } = openLimiter(t);
  for (const key of ['k', '2001:db8::1', 'é'.repeat(40), 'x'.repeat(2000), '\ud800']) {
    const handle = limiter.handle(key);
    assert.equal(handle.tryConsume(4), true);
    assert.equal(handle.consume(2).remaining, 4);
    assert.equal(limiter.peek(key).remaining, 4);
    assert.equal(limiter.tryConsume(key, 4), true);
    assert.equal(handle.peek().remaining, 0);
    assert.equal(handle.tryConsume(), false);
  }
  assert.throws(() => limiter.handle(''), { code: 'ERR_SLUICE_INVALID_KEY' });
});

test('twins that end in Async do what the calls do', onLinux, async (t) => {
  const { limiter } = openLimiter(t);
  assert.equal((await limiter.consumeAsync('a', 3)).remaining, 7);
  assert.equal((await limiter.peekAsync('a')).remaining, 7);
  await limiter.refundAsync('a', 2);
  await limiter.penalizeAsync('a', 1);
  assert.equal((await limiter.peekAsync('a')).remaining, 8);
  assert.equal(await limiter.blockAsync('a', '1h'), true);
  assert.equal(await limiter.resetAsync('a'), true);
  await limiter.ready();
  await assert.rejects(limiter.consumeAsync(''), { code: 'ERR_SLUICE_INVALID_KEY' });
});

test('keys and costs are checked as everywhere', onLinux, (t) => {
  const { limiter } = openLimiter(t);
  for (const call of ['tryConsume', 'consume', 'peek', 'refund', 'penalize', 'reset']) {
    assert.throws(() => limiter[call](''), { code: 'ERR_SLUICE_INVALID_KEY' }, call);
  }
  for (const call of ['tryConsume', 'consume', 'refund', 'penalize']) {
    assert.throws(() => limiter[call]('a', 0), { code: 'ERR_SLUICE_INVALID_COST' }, call);
  }
  assert.throws(() => limiter.consumeMany(['a', '']), { code: 'ERR_SLUICE_INVALID_KEY' });
  assert.equal(limiter.peek('a').remaining, 10, 'nothing was charged');
});

test('all threads of a process share one attachment', onLinux, async (t) => {
  const { name, limiter } = openLimiter(t);
  const peers = startPeers(t, 3);
  const admitted = await runInAll(
    peers,
    ({ load }, name) => {
      const limiter = new (load().RateLimiter)(name);
      return [1, 2, 3, 4].filter(() => limiter.tryConsume('a')).length;
    },
    name,
  );
  assert.equal(
    admitted.reduce((sum, each) => sum + each),
    10,
  );
  assert.equal(limiter.stats().processes, 1);
  await Promise.all(peers.map((peer) => peer.end()));
  const { processes, allowed, refused } = limiter.stats();
  assert.deepEqual({ processes, allowed, refused }, { processes: 1, allowed: 10, refused: 2 });
});

test('another process counts on, and stats are sums over processes', onLinux, async (t) => {
  const { name, options, limiter } = openLimiter(t);
  const [other] = startProcesses(t, 1);
  assert.equal(limiter.tryConsume('a', 7), true);
  const open = ({ load, state }, { name, options }) => {
    state.limiter = new (load().RateLimiter)(name, options);
    return [
      state.limiter.peek('a').remaining,
      state.limiter.tryConsume('a', 4),
      state.limiter.tryConsume('a', 3),
    ];
  };
  assert.deepEqual(await other.run(open, { name, options }), [3, false, true]);
  const { allowed, refused, processes, deaths, size, machine } = limiter.stats();
  assert.deepEqual(
    { allowed, refused, processes, deaths, size },
    { allowed: 2, refused: 1, processes: 2, deaths: 0, size: 1 },
  );
  assert.deepEqual(machine.attached.map(({ pid }) => pid).sort(), [process.pid, other.pid].sort());
  assert.equal(machine.trouble, null);
  const { since } = machine.attached[0];
  assert.ok(Math.abs(Date.now() - since) < 60_000, String(since));

  await other.kill();
  const after = limiter.stats();
  assert.deepEqual([after.processes, after.deaths, after.allowed], [1, 1, 2]);
  assert.equal(limiter.tryConsume('a'), false, 'what the dead process used stays used');
});

test('reconfigure reaches every process', onLinux, async (t) => {
  const { name, options, limiter } = openLimiter(t);
  const [other] = startProcesses(t, 1);
  await other.run(
    ({ load, state }, [name, options]) => {
      state.limiter = new (load().RateLimiter)(name, options);
    },
    [name, options],
  );
  limiter.reconfigure({ limit: 4 });
  const { limit } = await other.run(({ state }) => state.limiter.consume('a'));
  assert.equal(limit, 4);
  await other.run(({ state }) => state.limiter.reconfigure({ limit: 6, dryRun: true }));
  const decision = limiter.consume('a');
  assert.deepEqual([decision.limit, decision.wouldRefuse], [6, false]);
  assert.throws(() => limiter.reconfigure({ maxKeys: 5 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
  assert.throws(() => limiter.reconfigure({ scope: 'process' }), { code: 'ERR_SLUICE_INVALID_OPTION' });
});

test('destroy ends it in this process, and the last one removes the file', onLinux, async (t) => {
  const { name, directory, options, limiter } = openLimiter(t);
  const [other] = startProcesses(t, 1);
  await other.run(
    ({ load, state }, [name, options]) => {
      state.limiter = new (load().RateLimiter)(name, options);
      state.limiter.tryConsume('a', 6);
    },
    [name, options],
  );
  assert.equal(RateLimiter.destroy(name), true);
  assert.equal(RateLimiter.destroy(name), false);
  assert.throws(() => limiter.tryConsume('a'), { code: 'ERR_SLUICE_CLOSED' });
  assert.throws(() => limiter.handle('a').consume(), { code: 'ERR_SLUICE_CLOSED' });
  assert.throws(() => limiter.reset('a'), { code: 'ERR_SLUICE_CLOSED' });
  assert.throws(() => limiter.reconfigure({ limit: 20 }), { code: 'ERR_SLUICE_CLOSED' });
  assert.equal(filesIn(directory).length, 1, 'the other process uses it');
  const { processes, remaining } = await other.run(({ state }) => ({
    processes: state.limiter.stats().processes,
    remaining: state.limiter.peek('a').remaining,
  }));
  assert.deepEqual([processes, remaining], [1, 4]);

  const again = new RateLimiter(name, options);
  assert.equal(again.peek('a').remaining, 4);
  await other.run(({ load }, name) => load().RateLimiter.destroy(name), name);
  RateLimiter.destroy(name);
  assert.deepEqual(filesIn(directory), []);
});

test('destroy with everywhere ends it in all processes', onLinux, async (t) => {
  const { name, directory, options, limiter } = openLimiter(t);
  const [other] = startProcesses(t, 1);
  await other.run(
    ({ load, state }, [name, options]) => {
      state.limiter = new (load().RateLimiter)(name, options);
    },
    [name, options],
  );
  limiter.tryConsume('a', 6);
  assert.equal(RateLimiter.destroy(name, { everywhere: true }), true);
  assert.throws(() => limiter.tryConsume('a'), { code: 'ERR_SLUICE_CLOSED' });
  assert.deepEqual(filesIn(directory), []);
  const code = await other.run(({ state }) => {
    try {
      state.limiter.tryConsume('a');
    } catch (error) {
      return error.code;
    }
  });
  assert.equal(code, 'ERR_SLUICE_CLOSED');
  const remaining = await other.run(
    ({ load }, [name, options]) => new (load().RateLimiter)(name, options).peek('a').remaining,
    [name, options],
  );
  assert.equal(remaining, 10, 'its name is free in that process, too');
});

test('destroy takes no other options', () => {
  assert.throws(() => RateLimiter.destroy('x', { everywhere: 1 }), { code: 'ERR_SLUICE_INVALID_OPTION' });
  assert.throws(() => RateLimiter.destroy('x', { all: true }), { code: 'ERR_SLUICE_INVALID_OPTION' });
});

test('a limiter of one name has one scope in a process', onLinux, (t) => {
  const { name, directory, options } = openLimiter(t);
  assert.throws(() => new RateLimiter(name, { ...options, scope: 'process' }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /scope = shared/,
  });
  const elsewhere = { shared: sharedDirectory(t) };
  assert.throws(() => new RateLimiter(name, { ...options, scope: elsewhere }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: new RegExp(`scope = shared "${directory}"`),
  });
  const own = freshName();
  t.after(() => RateLimiter.destroy(own));
  new RateLimiter(own, { limit: 1, window: '1h' });
  assert.throws(() => new RateLimiter(own, { ...options, scope: { shared: directory } }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /scope = process; given: shared/,
  });
});

test('reset of tests leaves the file, and the next construction sets the options', onLinux, async (t) => {
  const { name, directory, options, limiter } = openLimiter(t);
  limiter.tryConsume('a', 6);
  reset();
  assert.equal(limiter.peek('a').remaining, 4, 'files are never touched');
  assert.equal(new RateLimiter(name, options).peek('a').remaining, 4);
  reset();
  const smaller = new RateLimiter(name, { ...options, limit: 5 });
  assert.equal(smaller.peek('b').remaining, 5);
  assert.equal(limiter.peek('b').remaining, 5, 'objects that exist keep working');
  reset();
  const other = new RateLimiter(name, { ...options, maxKeys: 50, limit: 3 });
  assert.deepEqual([other.peek('a').remaining, filesIn(directory).length], [3, 1]);
  assert.equal(other.tryConsume('a'), true);
});

test('the clock of tests and shared limiters exclude each other', onLinux, (t) => {
  const { name, options } = openLimiter(t);
  assert.throws(() => manualClock(), { code: 'ERR_SLUICE_UNSUPPORTED', message: new RegExp(name) });
  assert.throws(() => manualClock({ follow: 'timers' }), { code: 'ERR_SLUICE_UNSUPPORTED' });
  RateLimiter.destroy(name);
  const clock = manualClock();
  t.after(() => clock.restore());
  assert.throws(() => new RateLimiter(name, options), {
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /manualClock/,
  });
  clock.restore();
  assert.ok(new RateLimiter(name, options).tryConsume('a'));
  assert.throws(() => clock.advance('1s'), { code: 'ERR_SLUICE_UNSUPPORTED' });
});

test('calls do not wait in line', onLinux, async (t) => {
  const { limiter } = openLimiter(t);
  await assert.rejects(limiter.acquire('a'), {
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /scope \{ shared \}/,
  });
  await assert.rejects(limiter.handle('a').acquire(), { code: 'ERR_SLUICE_UNSUPPORTED' });
});

test('several limits are decided as one, over all processes', onLinux, async (t) => {
  const limits = ['gcra', 'fixed-window', 'sliding-window'].map((algorithm, n) => {
    return { name: algorithm, limit: 5 + 2 * n, window: '30d', algorithm };
  });
  const name = freshName();
  t.after(() => RateLimiter.destroy(name));
  const options = { limits, scope: { shared: sharedDirectory(t) } };
  const limiter = new RateLimiter(name, options);
  assert.equal(limiter.tryConsume('a', 3), true);
  const [other] = startProcesses(t, 1);
  const takeAll = ({ load, state }, { name, options }) => {
    state.limiter = new (load().RateLimiter)(name, options);
    const taken = [1, 2, 3].filter(() => state.limiter.tryConsume('a'));
    return [taken.length, state.limiter.consume('a').policy, state.limiter.tryConsume('b', 5)];
  };
  assert.deepEqual(await other.run(takeAll, { name, options }), [2, 'gcra', true]);
  assert.equal(limiter.reset('a'), true);
  await other.kill();
  assert.deepEqual(
    [limiter.tryConsume('a', 5), limiter.tryConsume('a'), limiter.tryConsume('b')],
    [true, false, false],
  );
  assert.equal(limiter.stats().processes, 1);
});

test('the directory of every process is made where it is missing', onLinux, (t) => {
  const name = freshName();
  t.after(() => RateLimiter.destroy(name));
  const limiter = new RateLimiter(name, quota(3, { shared: true }));
  const { file } = limiter.stats().machine;
  assert.match(file, new RegExp(`^/dev/shm/sluice-${process.getuid()}/RateLimiter\\.${name}\\.`));
  assert.equal(limiter.stats().capacity >= 100_000 && limiter.stats().capacity < 200_000, true);
});
