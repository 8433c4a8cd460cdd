// Real processes that share a limiter: exact totals while they are killed at any instruction, and what a deploy does.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import sluice from '../../index.js';
import { onLinux, sharedDirectory, startProcesses } from '../helpers/machine.mjs';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;
/** So many that it takes some seconds to use them up. */
const QUOTA = 400_000;

const LOAD = new URL('../helpers/machine-load.cjs', import.meta.url).pathname;

function startLoad(task) {
  const child = spawn(process.execPath, [LOAD, JSON.stringify(task)], { stdio: 'inherit' });
  return { child, ended: once(child, 'exit') };
}

/** What callers were told, over all threads of a process, or of all processes that there were. */
function toldIn(directory, pid) {
  const files = readdirSync(directory).filter((file) => pid === undefined || file.startsWith(`${pid}-`));
  return files.reduce((sum, file) => sum + statSync(`${directory}/${file}`).size, 0);
}

function taskFor(t, limit, threads) {
  const directory = sharedDirectory(t);
  const told = `${directory}/told`;
  mkdirSync(told);
  // A unit of a fixed window never comes back before its end.
  const quota = { limit, window: '30d', algorithm: 'fixed-window', maxKeys: 1000 };
  const options = { ...quota, scope: { shared: directory } };
  return { name: freshName(), options, told, threads };
}

test('four processes with two threads each admit the quota and not one unit more', onLinux, async (t) => {
  const task = taskFor(t, 20_000, 2);
  const all = Array.from({ length: 4 }, () => startLoad(task));
  const codes = await Promise.all(all.map(({ ended }) => ended));
  assert.deepEqual(
    codes,
    Array.from({ length: 4 }, () => [0, null]),
  );
  assert.equal(toldIn(task.told), 20_000);
  t.after(() => RateLimiter.destroy(task.name));
  const { allowed, processes, deaths } = new RateLimiter(task.name, task.options).stats();
  assert.deepEqual({ allowed, processes, deaths }, { allowed: 20_000, processes: 1, deaths: 4 });
});

/** A killed thread wastes at most the call that it was in. */
test('processes that are killed and replaced never lead to a unit more', onLinux, async (t) => {
  const task = taskFor(t, QUOTA, 2);
  const running = new Set();
  const start = () => {
    const load = startLoad(task);
    running.add(load);
    load.ended.then(() => running.delete(load));
  };
  for (let process = 0; process < 4; process++) start();
  let killed = 0;
  while (running.size > 0) {
    await delay(10 + Math.random() * 50);
    // One that has begun: what is killed before it is attached proves nothing.
    const victim = [...running].find(({ child }) => toldIn(task.told, child.pid) > 0);
    if (victim === undefined || killed === 8) continue;
    victim.child.kill('SIGKILL');
    const [, signal] = await victim.ended;
    if (signal !== 'SIGKILL') continue;
    killed += 1;
    start();
  }
  const told = toldIn(task.told);
  assert.ok(killed > 0, 'some were killed');
  assert.ok(told <= QUOTA && told >= QUOTA - 2 * killed, `${told} told, ${killed} killed`);
  t.after(() => RateLimiter.destroy(task.name));
  const limiter = new RateLimiter(task.name, task.options);
  assert.equal(limiter.tryConsume('client'), false);
  const { processes, deaths } = limiter.stats();
  assert.deepEqual([processes, deaths], [1, 4 + killed]);
  assert.equal(limiter.reset('client'), true);
  assert.equal(limiter.tryConsume('client', QUOTA), true, 'no unit is lost for ever');
});

const open = ({ load, state }, [name, options]) => {
  state.limiter = new (load().RateLimiter)(name, options);
  return state.limiter.consume('a').limit;
};
const consume = ({ state }) => {
  const { limit, remaining } = state.limiter.consume('a');
  return [limit, remaining];
};

test('a deploy that ends all processes first: other options replace what there was', onLinux, async (t) => {
  const { name, options } = taskFor(t, 10, 1);
  const [first, second] = startProcesses(t, 2);
  await Promise.all([first.run(open, [name, options]), second.run(open, [name, options])]);
  await first.end();
  await second.kill();

  const [third, fourth] = startProcesses(t, 2);
  assert.equal(await third.run(open, [name, options]), 10, 'the same options: state outlives processes');
  assert.deepEqual(await third.run(consume), [10, 6]);
  await third.kill();
  assert.equal(await fourth.run(open, [name, { ...options, limit: 20 }]), 20);
  assert.deepEqual(await fourth.run(consume), [20, 18], 'and it begins anew');
});

test('a rolling deploy: the options of the newest process are in force', onLinux, async (t) => {
  const { name, options } = taskFor(t, 10, 1);
  const [old, older, fresh, fresher] = startProcesses(t, 4);
  await Promise.all([old.run(open, [name, options]), older.run(open, [name, options])]);
  const later = { ...options, limit: 20, scope: { ...options.scope, onMismatch: 'reconfigure' } };
  assert.equal(await fresh.run(open, [name, later]), 20);
  assert.equal((await old.run(consume))[0], 20, 'in the old ones too');
  await old.end();
  assert.equal(await fresher.run(open, [name, later]), 20);
  await older.kill();
  const [limit, remaining] = await fresher.run(consume);
  assert.deepEqual([limit, remaining], [20, 14], 'what was used stays used');
  assert.equal(await fresher.run(({ state }) => state.limiter.stats().processes), 2);
});

test('a process that shares a limiter ends as soon as any other', onLinux, async (t) => {
  const { name, options } = taskFor(t, 10, 1);
  const [peer] = startProcesses(t, 1);
  await peer.run(open, [name, options]);
  const ended = peer.end();
  assert.ok(await Promise.race([ended.then(() => true), delay(20_000, false, { ref: false })]));
});
