// Reputation in files: what is saved is known again, and a file is whole or refused.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';

const { Reputation } = sluice;

const A = '203.0.113.7';
const RULES = { maxFailures: 3, findTime: '1d', banTime: '1h', maxBanTime: '30d' };
const fresh = (options) => new Reputation(freshName(), { ...RULES, ...options });

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sluice-reputation-'));
test.after(() => fs.rmSync(folder, { recursive: true }));
const freshFile = () => path.join(folder, freshName());

function stoppedClock(t) {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  clock.set(Date.UTC(2026, 0, 1));
  return clock;
}

test('what is saved is known again, by the date', (t) => {
  const clock = stoppedClock(t);
  const saver = fresh();
  const file = freshFile();
  saver.recordFailure(A, { weight: 3, reason: 'wörter' });
  saver.recordFailure('192.0.2.1', { weight: 2 });
  saver.ban('2001:db8::/32', { duration: Number.POSITIVE_INFINITY, reason: 'range' });
  assert.equal(saver.save(file), undefined);

  const loader = fresh();
  assert.equal(loader.load(pathToFileURL(file)), undefined);
  for (const ip of [A, '192.0.2.1', '2001:db8::1', '198.51.100.1']) {
    assert.deepEqual(loader.check(ip), saver.check(ip));
  }
  assert.deepEqual(loader.bans(), saver.bans());
  clock.advance('59m');
  const late = fresh();
  late.load(file);
  assert.equal(late.check(A).retryAfterMs, 60_000);
  clock.advance('30d');
  const tooLate = fresh();
  tooLate.load(file);
  assert.deepEqual([tooLate.isBanned(A), tooLate.stats().size, tooLate.stats().ranges], [false, 0, 1]);
});

test('with the clock of the system, ends are the same to the millisecond', () => {
  const saver = fresh();
  const file = freshFile();
  for (let n = 0; n < 100; n++) saver.ban(`192.0.2.${n}`, { duration: 3_600_000 + n });
  saver.save(file);
  const loader = fresh();
  loader.load(file);
  loader.load(file);
  const ends = (reputation) => reputation.bans().map(({ client, until }) => [client, until]);
  assert.deepEqual(ends(loader), ends(saver));
});

test('loading adds: the later end holds, and twice changes nothing', (t) => {
  stoppedClock(t);
  const file = freshFile();
  const saver = fresh();
  saver.ban(A, { duration: '1h' });
  saver.ban('192.0.2.1', { duration: '3h' });
  saver.recordFailure('192.0.2.2', { weight: 2 });
  saver.save(file);
  const loader = fresh();
  loader.ban(A, { duration: '2h', reason: 'later' });
  loader.ban('192.0.2.1', { duration: '2h' });
  loader.recordFailure('192.0.2.2');
  loader.recordFailure('192.0.2.3');
  for (let i = 0; i < 3; i++) {
    loader.load(file);
    assert.deepEqual([loader.check(A).retryAfterMs, loader.check(A).reason], [7_200_000, 'later']);
    assert.equal(loader.check('192.0.2.1').retryAfterMs, 10_800_000);
    assert.deepEqual([loader.check('192.0.2.2').failures, loader.check('192.0.2.3').failures], [2, 1]);
  }
});

test('lists are options, and are in no file', () => {
  const file = freshFile();
  fresh({ deny: [A] }).save(file);
  const loader = fresh({ deny: ['192.0.2.1'] });
  loader.load(file);
  assert.deepEqual([loader.isBanned(A), loader.isBanned('192.0.2.1')], [false, true]);
});

test('a file is replaced in one step, is for its owner alone, and leaves nothing beside it', () => {
  const own = fs.mkdtempSync(path.join(folder, 'own-'));
  const file = path.join(own, 'bans');
  const reputation = fresh();
  for (let n = 0; n < 5; n++) {
    reputation.ban(`192.0.2.${n}`, { duration: '1h' });
    reputation.save(file);
  }
  assert.deepEqual(fs.readdirSync(own), ['bans']);
  if (process.platform !== 'win32') assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  // A process of our number was killed here before.
  fs.writeFileSync(path.join(own, `.bans.${process.pid}-0.tmp`), 'torn');
  reputation.save(file);
  fresh().load(file);
});

test('what the system refuses fails as node:fs does', () => {
  const reputation = fresh();
  const missing = path.join(folder, 'no such folder', 'bans');
  const code = 'ENOENT';
  assert.throws(() => reputation.load(missing), { name: 'Error', code, syscall: 'open', path: missing });
  assert.throws(() => reputation.save(missing), { name: 'Error', code, syscall: 'open', path: missing });
  assert.throws(() => reputation.save(folder), { code: /^E(ISDIR|EXIST|NOTEMPTY)$/, syscall: 'rename' });
  assert.throws(() => reputation.save('/'), { code: 'EINVAL', syscall: 'open' });
  assert.deepEqual(
    fs.readdirSync(path.dirname(folder)).filter((name) => name.startsWith(`.${path.basename(folder)}`)),
    [],
  );
});

test('torn, cut, foreign and newer files are refused, and nothing is changed', () => {
  const file = freshFile();
  const saver = fresh();
  for (let n = 0; n < 50; n++) saver.ban(`10.0.0.${n}`, { duration: '1h', reason: `number ${n}` });
  saver.save(file);
  const whole = fs.readFileSync(file);
  const newer = Buffer.from(whole);
  newer.writeUInt32LE(2, 8);
  const torn = Buffer.from(whole);
  torn.fill(0, 512, 1024);
  const cases = [
    ['CORRUPT_FILE', Buffer.alloc(0), /is cut short/],
    ['CORRUPT_FILE', whole.subarray(0, 1000), /is cut short/],
    ['CORRUPT_FILE', whole.subarray(0, -1), /is cut short/],
    ['CORRUPT_FILE', Buffer.concat([whole, whole]), /more behind its end/],
    ['CORRUPT_FILE', torn, /checksum/],
    ['CORRUPT_FILE', Buffer.from('{"bans":[]}'), /a file of something else/],
    ['UNSUPPORTED_VERSION', newer, /has version 2 of its format; accepted: version 1/],
  ];
  const loader = fresh();
  loader.ban(A, { duration: '1h', reason: 'before' });
  const before = [loader.bans(), loader.stats()].map((told) =>
    JSON.stringify(told).replaceAll(/"retry.*?,/g, ''),
  );
  for (const [code, bytes, message] of cases) {
    fs.writeFileSync(file, bytes);
    assert.throws(
      () => loader.load(file),
      (error) => {
        assert.deepEqual([error.name, error.code], ['SluiceError', `ERR_SLUICE_${code}`]);
        assert.ok(error.message.startsWith(file), error.message);
        return message.test(error.message);
      },
    );
    const after = [loader.bans(), loader.stats()].map((told) =>
      JSON.stringify(told).replaceAll(/"retry.*?,/g, ''),
    );
    assert.deepEqual(after, before);
  }
});

// Planted bug, tried on two cores: when they take no turns, about one save in four is replaced by an older one.
test('threads that save to one file never replace more with less', async (t) => {
  const peers = startPeers(t, 4);
  const [name, file] = [freshName(), freshFile()];
  const reputation = new Reputation(name, RULES);
  const lost = await runInAll(
    peers,
    ({ load, require, meet }, { name, file, start }) => {
      const { Reputation } = load();
      const reputation = new Reputation(name);
      const { threadId } = require('node:worker_threads');
      let lost = 0;
      meet(start);
      for (let n = 0; n < 40; n++) {
        const ip = `10.${threadId & 255}.0.${n}`;
        reputation.ban(ip, { duration: '1h' });
        reputation.save(file);
        const own = `reader-${threadId}-${n}`;
        const reader = new Reputation(own, { maxFailures: 3, findTime: 1, banTime: 1, maxBanTime: 1 });
        reader.load(file);
        if (!reader.isBanned(ip)) lost++;
        Reputation.destroy(own);
      }
      return lost;
    },
    { name, file, start: gate(4) },
  );
  assert.deepEqual(lost, [0, 0, 0, 0]);
  const reader = fresh();
  reader.load(file);
  assert.equal(reader.bans().length, reputation.bans().length);
});

/** Saves in a process of its own, which is killed in the middle of a save after its first; the last it said. */
async function saveUntilKilled(file, first, whenSeen) {
  const script = fileURLToPath(new URL('../helpers/saving-process.cjs', import.meta.url));
  const child = spawn(process.execPath, [script, file, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    if (said === '') {
      whenSeen();
      child.kill('SIGKILL');
    }
    said += text;
  });
  const [, signal] = await once(child, 'close');
  assert.equal(signal, 'SIGKILL');
  return Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
}

/** Looks at the folder until a file there is being written: one beside, or one shorter than it was. */
function seeWriting(folder, file, length) {
  for (const until = performance.now() + 5000; performance.now() < until; ) {
    if (fs.readdirSync(folder).some((name) => name.endsWith('.tmp'))) return;
    if (fs.statSync(file).size < length) return;
  }
}

// Planted bug, tried: with the file itself written instead of one beside, it is cut short in the first round.
test('a process that is killed while it saves loses no ban that was saved', async () => {
  const own = fs.mkdtempSync(path.join(folder, 'own-'));
  const file = path.join(own, 'bans');
  // Enough to make one save take a while.
  const early = fresh();
  for (let n = 0; n < 20_000; n++) {
    early.ban(`192.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, { duration: '30d' });
  }
  early.save(file);
  let next = 0;
  let amidst = 0;
  for (let kill = 0; kill < 12; kill++) {
    const { size } = fs.statSync(file);
    // Every third is killed wherever it is.
    const last = await saveUntilKilled(file, next, () => kill % 3 > 0 && seeWriting(own, file, size));
    const loader = fresh();
    loader.load(file);
    for (let n = 0; n <= last; n++) {
      const ip = `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
      assert.ok(loader.isBanned(ip), `kill ${kill}: ${ip} of ${last} was saved`);
    }
    assert.ok(loader.bans().length >= 20_000 + last + 1);
    next = last + 1;
    for (const name of fs.readdirSync(own).filter((name) => name !== 'bans')) {
      fs.rmSync(path.join(own, name));
      amidst++;
    }
  }
  assert.ok(amidst > 0, 'some were killed while they wrote');
});
