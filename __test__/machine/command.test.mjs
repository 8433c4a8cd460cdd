// `sluice machine`: the files of shared state, and which processes are attached.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import test from 'node:test';
import sluice from '../../index.js';
import { run as runCommand } from '../../lib/cli/index.js';
import { filesIn, onLinux, sharedDirectory, startProcesses } from '../helpers/machine.mjs';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter } = sluice;

/** Runs the command in this process: its exit code and what it wrote. */
async function command(...args) {
  const written = { stdout: '', stderr: '' };
  const stream = (name) => ({ write: (text) => (written[name] += text) });
  const io = { stdin: null, stdout: stream('stdout'), stderr: stream('stderr'), env: {} };
  const status = await runCommand(['machine', ...args], io);
  return { status, ...written };
}

function openLimiter(t, name = freshName()) {
  const directory = sharedDirectory(t);
  t.after(() => RateLimiter.destroy(name));
  const options = { limit: 7, window: '1h', maxKeys: 1000, scope: { shared: directory } };
  return { name, directory, options, limiter: new RateLimiter(name, options) };
}

test('ls says what is in each file, and which processes are attached', onLinux, async (t) => {
  const { name, directory, options, limiter } = openLimiter(t);
  const [other] = startProcesses(t, 1);
  await other.run(
    ({ load, state }, [name, options]) => {
      state.limiter = new (load().RateLimiter)(name, options);
    },
    [name, options],
  );
  limiter.tryConsume('a');
  limiter.tryConsume('b');
  limiter.reconfigure({ limit: 9 });

  const { status, stdout } = await command('ls', '--dir', directory);
  assert.equal(status, 0);
  assert.match(stdout, new RegExp(`RateLimiter ${name} +\\d+ kB +2 +2 +1 +0 +.*limit 9, window 3600000 ms`));
  for (const pid of [process.pid, other.pid]) assert.match(stdout, new RegExp(`\\n +${pid} +.* ago`));

  const { files } = JSON.parse((await command('ls', name, '--json', '--dir', directory)).stdout);
  assert.equal(files.length, 1);
  const [{ attached, options: inForce, file, ...facts }] = files;
  assert.deepEqual(attached.map(({ pid }) => pid).sort(), [process.pid, other.pid].sort());
  assert.deepEqual([inForce.limit, inForce.maxKeys, inForce.creation], ['9', '1000', undefined]);
  assert.deepEqual(
    [facts.kind, facts.name, facts.clients, facts.generation, facts.deaths],
    ['RateLimiter', name, 2, 1, 0],
  );
  assert.deepEqual(filesIn(directory), [file]);
});

test('names of instances cannot move the cursor', onLinux, async (t) => {
  const { directory } = openLimiter(t, `${freshName()}\u001b[2J\u202e`);
  const { stdout } = await command('ls', '--dir', directory);
  assert.match(stdout, /\\u\{1b\}\[2J\\u\{202e\}/);
  const json = (await command('ls', '--json', '--dir', directory)).stdout;
  for (const character of ['\u001b', '\u202e']) {
    assert.ok(!stdout.includes(character) && !json.includes(character));
  }
});

test('rm refuses while a process is attached, and removes what none uses', onLinux, async (t) => {
  const { name, directory, limiter } = openLimiter(t);
  const refused = await command('rm', name, '--dir', directory);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, new RegExp(`process ${process.pid} uses it; accepted: .*--force`));
  const kept = await command('rm', '--all', '--dir', directory);
  assert.deepEqual([kept.status, filesIn(directory).length], [0, 1]);
  assert.match(kept.stdout, /kept/);

  const forced = await command('rm', name, '--force', '--dir', directory);
  assert.deepEqual([forced.status, filesIn(directory)], [0, []]);
  assert.equal(limiter.tryConsume('a'), true, 'it goes on by itself');
  assert.match(limiter.stats().machine.trouble, /it was removed/);
});

test('rm --all removes files of processes that have ended, and no others', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const [other] = startProcesses(t, 1);
  const options = { limit: 7, window: '1h', maxKeys: 1000, scope: { shared: directory } };
  await other.run(({ load }, options) => {
    new (load().RateLimiter)('one', options);
    new (load().RateLimiter)('two', options);
  }, options);
  await other.kill();
  writeFileSync(`${directory}/notes.txt`, 'another file');
  writeFileSync(`${directory}/RateLimiter.three.0123456789abcdef.v2`, 'cut short');
  const { files } = JSON.parse((await command('ls', '--json', '--dir', directory)).stdout);
  assert.deepEqual(
    files.map(({ name, problem, attached }) => [name, problem !== null, attached.length]),
    [
      ['one', false, 0],
      [null, true, 0],
      ['two', false, 0],
    ],
  );
  assert.equal((await command('rm', '--all', '--dir', directory)).status, 0);
  assert.deepEqual(filesIn(directory), ['notes.txt']);
});

test('what is given is checked', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  assert.match((await command('ls', '--dir', directory)).stdout, /There are no files\./);
  assert.match((await command('ls', '--dir', `${directory}/none`)).stdout, /There are no files\./);
  const cases = [
    [['rm', '--dir', directory], 2, /takes the name of an instance/],
    [['rm', 'x', '--all', '--dir', directory], 2, /takes the name of an instance/],
    [['rm', 'x', '--dir', directory], 1, /there is no "x"/],
    [['ls', 'x', '--dir', directory], 1, /there is no "x"/],
    [['mv', '--dir', directory], 2, /machine mv is no command/],
    [['ls', '--dir', '/'], 1, /a directory in memory \(tmpfs\)|other users may write|belongs to/],
    [['ls', '--dir', ''], 2, /--dir is empty/],
  ];
  for (const [args, code, message] of cases) {
    const { status, stderr } = await command(...args);
    assert.equal(status, code, args.join(' '));
    assert.match(stderr, message);
  }
});
