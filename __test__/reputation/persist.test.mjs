// The option `persist` of Reputation: a file keeps bans from one start to the next.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { betweenNativeCalls } from '../helpers/between-calls.mjs';
import { freshName, runInAll, startPeers } from '../helpers/peer.mjs';
import { manualClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { Reputation } = sluice;

const A = '203.0.113.7';
const B = '203.0.113.8';
const RULES = { maxFailures: 3, findTime: '1d', banTime: '1h', maxBanTime: '30d' };
const PROGRAM = fileURLToPath(new URL('../helpers/keeping-process.cjs', import.meta.url));

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-persist-'));
test.after(() => fs.rmSync(folder, { recursive: true }));
const freshFile = () => path.join(folder, freshName());

function stopClock(t) {
  const clock = manualClock(t);
  clock.set(Date.UTC(2031, 0, 1));
  return clock;
}

/** A reputation that the file keeps, and its name. */
function open(file, options) {
  const name = freshName();
  return { name, reputation: new Reputation(name, { ...RULES, persist: { path: file, ...options } }) };
}

/**
 * Lets the time of tests pass until `isDone()` holds: a write may still be in progress when the next one is due. It may take
 * hours of that time: a ban that is to be found afterwards has no end.
 */
async function pass(clock, isDone) {
  while (!isDone()) {
    clock.advance('1s');
    await new Promise(setImmediate);
  }
}

/** Warnings of this process from now on, by code. */
function recordWarnings(t) {
  const warnings = [];
  const record = (warning) => warnings.push(warning);
  process.on('warning', record);
  t.after(() => process.off('warning', record));
  return warnings;
}

/** The clients that are banned in a file, as another process would read it. */
function bannedIn(file) {
  const name = freshName();
  const reader = new Reputation(name, RULES);
  reader.load(file);
  const banned = reader.bans().map(({ client }) => client);
  Reputation.destroy(name);
  return banned.sort();
}

test('what was banned is banned after a restart, and ends at its date', (t) => {
  const clock = stopClock(t);
  const file = freshFile();
  const { name, reputation } = open(pathToFileURL(file));
  reputation.recordFailure(A, { weight: 3, reason: 'password' });
  reputation.ban('192.0.2.0/24', { duration: '2h' });
  reputation.recordFailure(B, { weight: 2 });
  Reputation.destroy(name);
  clock.advance('59m');
  const next = open(file);
  const { banned, reason, retryAfterMs } = next.reputation.check(A);
  assert.deepEqual(
    { banned, reason, retryAfterMs },
    { banned: true, reason: 'password', retryAfterMs: 60_000 },
  );
  assert.equal(next.reputation.check(B).failures, 2);
  Reputation.destroy(next.name);
  clock.advance('90m');
  const last = open(file).reputation;
  assert.deepEqual([last.isBanned(A), last.isBanned('192.0.2.1'), last.bans().length], [false, false, 0]);
});

test('the file is written on the interval, and only when something has changed', async (t) => {
  const clock = stopClock(t);
  const file = freshFile();
  const { reputation } = open(file, { every: '10s' });
  reputation.ban(A, { duration: '1h' });
  clock.advance('9s');
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  assert.equal(fs.existsSync(file), false);
  clock.advance('1s');
  await until(() => fs.existsSync(file), true);
  assert.deepEqual(bannedIn(file), [A]);
  const { ino } = fs.statSync(file);
  // A second one is due at the same time. It is written, the first one is not.
  const otherFile = freshFile();
  open(otherFile, { every: '10s' }).reputation.ban(A, { duration: '1h' });
  clock.advance('10s');
  await until(() => fs.existsSync(otherFile), true);
  assert.equal(fs.statSync(file).ino, ino);
  reputation.ban(B, { duration: Number.POSITIVE_INFINITY });
  await pass(clock, () => bannedIn(file).includes(B));
  assert.notEqual(fs.statSync(file).ino, ino);
  assert.equal(fs.statSync(file).mode & 0o777, process.platform === 'win32' ? 0o666 : 0o600);
});

test('a file that is no reputation warns, is kept aside, and the list starts empty', async (t) => {
  const warnings = recordWarnings(t);
  const file = freshFile();
  fs.writeFileSync(file, 'something else');
  const { name, reputation } = open(file);
  assert.deepEqual([reputation.stats().size, fs.existsSync(file)], [0, false]);
  await until(() => warnings.length, 1);
  const [{ code, message }] = warnings;
  const aside = fs
    .readdirSync(folder)
    .find((entry) => entry.startsWith(`${path.basename(file)}.unreadable-`));
  assert.equal(code, 'SLUICE_REPUTATION_NOT_READ');
  assert.ok(message.includes(path.join(folder, aside)), message);
  assert.match(message, /is a file of something else/);
  assert.equal(fs.readFileSync(path.join(folder, aside), 'utf8'), 'something else');
  reputation.ban(A, { duration: '1h' });
  Reputation.destroy(name);
  assert.deepEqual(bannedIn(file), [A]);
});

test('every torn or changed file is kept aside', () => {
  const file = freshFile();
  const saver = open(file);
  saver.reputation.ban(A, { duration: '1h' });
  Reputation.destroy(saver.name);
  const whole = fs.readFileSync(file);
  const changed = Buffer.from(whole);
  changed[whole.length - 1] ^= 1;
  const later = Buffer.from(whole);
  later[8] = 9;
  for (const bytes of [whole.subarray(0, whole.length - 1), changed, later]) {
    const torn = freshFile();
    fs.writeFileSync(torn, bytes);
    const { name, reputation } = open(torn);
    assert.equal(reputation.isBanned(A), false);
    const kept = fs
      .readdirSync(folder)
      .find((entry) => entry.startsWith(`${path.basename(torn)}.unreadable-`));
    assert.deepEqual(fs.readFileSync(path.join(folder, kept)), Buffer.from(bytes));
    Reputation.destroy(name);
  }
});

test('a write that fails warns and is tried again', async (t) => {
  const warnings = recordWarnings(t);
  const clock = stopClock(t);
  const own = fs.mkdtempSync(path.join(folder, 'own-'));
  const file = path.join(own, 'bans');
  const { name, reputation } = open(file, { every: '1s' });
  reputation.ban(A, { duration: Number.POSITIVE_INFINITY });
  fs.rmSync(own, { recursive: true });
  const failed = () => warnings.some(({ code }) => code === 'SLUICE_REPUTATION_NOT_SAVED');
  await pass(clock, failed);
  assert.match(warnings.find(({ code }) => code === 'SLUICE_REPUTATION_NOT_SAVED').message, /ENOENT.*open/);
  fs.mkdirSync(own);
  await pass(clock, () => fs.existsSync(file));
  assert.deepEqual(bannedIn(file), [A]);
  Reputation.destroy(name);
});

const attach = ({ load, state }, [name, options]) => {
  state.reputation = new (load().Reputation)(name, options);
};

test('when the thread that wrote ends, another one writes; the last one writes at its end', async (t) => {
  const clock = stopClock(t);
  const file = freshFile();
  const peers = startPeers(t, 3);
  const persist = { path: file, every: '10s' };
  await runInAll(peers, attach, [freshName(), { ...RULES, persist }]);
  const ban = ({ state }, ip) => state.reputation.ban(ip, { duration: '30d' });
  for (const [index, peer] of peers.entries()) {
    await peer.run(ban, `10.0.0.${index}`);
    await pass(clock, () => fs.existsSync(file) && bannedIn(file).length === 3 * index + 1);
    await peer.run(ban, `10.0.1.${index}`);
    await peer.end();
    // Only a thread that is left can have written a ban from after the end.
    await peers[index + 1]?.run(ban, `10.0.2.${index}`);
    if (index < 2) await pass(clock, () => bannedIn(file).length === 3 * index + 3);
    else await until(() => bannedIn(file).includes(`10.0.1.${index}`), true);
    fs.rmSync(file);
  }
});

test('threads that attach while the file is read find its bans', async (t) => {
  const file = freshFile();
  const saver = open(file);
  for (let n = 0; n < 20_000; n++) {
    saver.reputation.ban(`10.0.${n >> 8}.${n & 255}`, { duration: '1h' });
  }
  Reputation.destroy(saver.name);
  const peers = startPeers(t, 4);
  await runInAll(peers, ({ load }) => void load());
  const count = ({ load }, [name, options]) => new (load().Reputation)(name, options).stats().banned;
  const counts = await runInAll(peers, count, [freshName(), { ...RULES, persist: { path: file } }]);
  assert.deepEqual(counts, [20_000, 20_000, 20_000, 20_000]);
});

test('two that share a file keep the bans of both', async (t) => {
  const clock = stopClock(t);
  const file = freshFile();
  // As two processes: nothing but the file is shared.
  const [one, other] = [open(file, { every: '10s' }), open(file, { every: '10s' })];
  one.reputation.ban(A, { duration: '1h' });
  other.reputation.ban(B, { duration: '1h' });
  Reputation.destroy(one.name);
  assert.deepEqual(bannedIn(file), [A]);
  clock.advance('10s');
  await until(() => bannedIn(file).length, 2);
  assert.equal(other.reputation.isBanned(A), true);
});

for (const [way, status] of [
  ['return', 0],
  ['exit', 3],
  ['throw', 1],
  ['worker', 0],
  ['shutdown', null],
]) {
  test(`a process that ends by ${way} has written`, () => {
    const file = freshFile();
    const ended = spawnSync(process.execPath, [PROGRAM, file, way, '7'], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(ended.status, status, ended.stderr);
    assert.deepEqual(bannedIn(file), ['10.0.0.7']);
  });
}

test('a process that is killed at any moment leaves a whole file', async () => {
  const file = freshFile();
  let first = 0;
  for (let kill = 0; kill < 3; kill++) {
    const child = spawn(process.execPath, [PROGRAM, file, 'forever', String(first)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      printed += text;
      if (fs.existsSync(file) && printed.length > 40 * (kill + 1)) child.kill('SIGKILL');
    });
    const [, signal] = await once(child, 'close');
    assert.equal(signal, 'SIGKILL');
    const kept = bannedIn(file).length;
    assert.ok(kept >= first && kept > 0, `${kept} of ${first}`);
    first = kept;
  }
});

test('save() to the file that keeps it does not bring back a ban that is lifted afterwards', {
  timeout: 10_000,
}, async (t) => {
  const clock = stopClock(t);
  const file = freshFile();
  const { reputation } = open(file, { every: '1s' });
  reputation.ban(A, { duration: '30d' });
  reputation.save(file);
  reputation.unban(A);
  await pass(clock, () => bannedIn(file).length === 0);
  assert.equal(reputation.isBanned(A), false);
});

test('reset() of the tests leaves the file as it is, until the next construction', (t) => {
  const clock = stopClock(t);
  const file = freshFile();
  const { name, reputation } = open(file, { every: '1s' });
  reputation.ban(A, { duration: '1h' });
  Reputation.destroy(name);
  const again = open(file, { every: '1s' });
  testing.reset();
  assert.equal(again.reputation.isBanned(A), false);
  clock.advance('1m');
  assert.deepEqual(bannedIn(file), [A]);
  const next = new Reputation(again.name, { ...RULES, persist: { path: file, every: '1s' } });
  assert.deepEqual([next.isBanned(A), again.reputation.isBanned(A)], [true, true]);
});

test('options: what is accepted, and what differs', () => {
  const file = freshFile();
  const invalid = (persist, message) =>
    assert.throws(() => new Reputation(freshName(), { ...RULES, persist }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message,
    });
  invalid('file', /Reputation persist options is "file"; accepted: an object/);
  invalid({}, /Reputation persist path is undefined; accepted: a value for it/);
  invalid({ path: 5 }, /Reputation persist path is 5; accepted: the path of a file/);
  invalid({ path: folder }, /accepted: the path of a file in a folder that exists/);
  invalid(
    { path: path.join(folder, 'missing', 'bans') },
    /accepted: the path of a file in a folder that exists/,
  );
  invalid({ path: new URL('https://example.com/bans') }, /persist path is "https:/);
  invalid({ path: file, every: 0 }, /Reputation persist every is 0; accepted: milliseconds/);
  invalid({ path: file, each: '1s' }, /Reputation persist has no option "each"; accepted: path, every/);
  const { name } = open(file);
  const same = new Reputation(name, { ...RULES, persist: { path: path.relative('.', file), every: '30s' } });
  assert.equal(same.name, name);
  assert.throws(() => new Reputation(name, { ...RULES, persist: { path: file, every: '1m' } }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /persist = .*30000ms/,
  });
  assert.throws(() => new Reputation(name, RULES), { code: 'ERR_SLUICE_CONFIG_MISMATCH' });
});

/** Fails where the file is read by a native call of its own: by a reputation that was destroyed before. */
test('a reputation that is destroyed while it is opened leaves its file as it is', () => {
  const file = freshFile();
  const { name, reputation } = open(file);
  reputation.ban(A, { duration: '1h' });
  Reputation.destroy(name);
  const reopen = () => new Reputation(name, { ...RULES, persist: { path: file } });
  const destroyed = betweenNativeCalls(reopen, () => Reputation.destroy(name));
  assert.throws(() => destroyed.isBanned(A), { code: 'ERR_SLUICE_CLOSED' });
  const files = fs.readdirSync(folder).filter((entry) => entry.startsWith(path.basename(file)));
  assert.deepEqual(files, [path.basename(file)]);
  assert.equal(reopen().isBanned(A), true);
  Reputation.destroy(name);
});
