// Each command of `sluice`, for a process with four threads.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { freshFolder, sluice, startServer } from '../helpers/inspected.mjs';

const skip = process.platform === 'win32' && 'sockets are named pipes there';
const CLIENT = '203.0.113.7';

/** How the thread sees the client: requests left, and whether it is banned. */
const seen = ({ state }, client) => {
  const { limiter, reputation } = state.guard;
  return [limiter.peek(client).remaining, limiter.peek(client).allowed, reputation.isBanned(client)];
};

/** Uses the client's quota up, by calls of all threads. */
async function useUp(server, client = CLIENT) {
  const consume = ({ state }, key) => {
    for (let call = 0; call < 5; call++) state.guard.limiter.tryConsume(key);
  };
  for (const thread of [0, 1, 2, 3]) await server.run(thread, consume, client);
}

/** Runs a command that has to succeed. */
async function run(server, ...args) {
  const { status, stdout, stderr } = await sluice(args, server);
  assert.deepEqual([status, stderr], [0, ''], stdout);
  return stdout;
}

test('inspect prints which client is refused, why, and what it has left', { skip }, async (t) => {
  const server = await startServer(t, { options: { title: 'the shop' } });
  await useUp(server);
  const text = await run(server, 'inspect', String(server.pid));
  assert.match(
    text,
    new RegExp(`^the shop {2}process ${server.pid}, up .*, 4 threads, .* MB, .*, read-only\\n`),
  );
  assert.match(
    text,
    /\nRefused most {2}last 10 minutes\nClient .*\n203\.0\.113\.7 +10 {2}over quota {2}shop /,
  );
  assert.match(text, /\nBans\nNo client is banned\.\n/);
  assert.match(text, /\nshop +10 per 1 h /);
  assert.ok(!text.includes('\u001b'), 'no colours where there is no terminal');

  const client = await run(server, 'inspect', '--client', CLIENT);
  assert.match(
    client,
    /^203\.0\.113\.7 on process \d+\nRefused by the limiter shop \(10 per 1 h\): 0 of 10 left\./,
  );
  const other = await run(server, 'inspect', '--client', '203.0.113.8');
  assert.match(other, /It is let in: nothing holds it back now\.\n/);
});

test('--json prints what a script reads', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  await useUp(server);
  const snapshot = JSON.parse(await run(server, 'inspect', '--json'));
  assert.deepEqual([snapshot.process.pid, snapshot.readOnly], [server.pid, true]);
  assert.deepEqual(
    snapshot.threads.map(({ threadId }) => threadId),
    [1, 2, 3, 4],
  );
  const [offender] = snapshot.offenders;
  assert.deepEqual([offender.client, offender.reason, offender.source], [CLIENT, 'quota', 'shop']);
  const report = JSON.parse(await run(server, 'inspect', '--client', CLIENT, '--json'));
  assert.deepEqual([report.client, report.limiters[0].remaining], [CLIENT, 0]);
  const { processes } = JSON.parse(await run(server, 'inspect', '--list', '--json'));
  assert.deepEqual(
    processes.map(({ pid, threads, actions }) => [pid, threads, actions]),
    [[server.pid, 4, false]],
  );
});

test('ban, unban, block, reset and admit work for all threads', { skip }, async (t) => {
  const server = await startServer(t, { options: { actions: true } });
  const inAll = async (expected) => {
    for (const thread of [0, 1, 2, 3]) assert.deepEqual(await server.run(thread, seen, CLIENT), expected);
  };
  assert.equal(
    await run(server, 'ban', CLIENT, '--for', '10m', '--reason', 'scans'),
    `${CLIENT}: banned for 600000 ms in shop\n`,
  );
  await inAll([10, true, true]);
  const reason = ({ state }, client) => state.guard.reputation.check(client).reason;
  assert.equal(await server.run(3, reason, CLIENT), 'scans');
  assert.equal(await run(server, 'unban', CLIENT), `${CLIENT}: unbanned in shop\n`);
  await inAll([10, true, false]);

  assert.equal(
    await run(server, 'block', CLIENT, '--in', 'shop'),
    `${CLIENT}: blocked for 3600000 ms in shop\n`,
  );
  assert.equal((await server.run(2, seen, CLIENT))[1], false);
  assert.equal(await run(server, 'reset', CLIENT), `${CLIENT}: reset in shop\n`);
  await inAll([10, true, false]);

  await useUp(server);
  await run(server, 'ban', CLIENT, '--for', 'forever');
  await inAll([0, false, true]);
  const { done } = JSON.parse(await run(server, 'admit', CLIENT, '--json'));
  assert.deepEqual(done[0].what, 'unbanned in "shop", reset in "shop"');
  await inAll([10, true, false]);

  await run(server, 'ban', '198.51.100.0/24', '--server', String(server.pid));
  assert.equal((await server.run(1, seen, '198.51.100.9'))[2], true);
  await run(server, 'unban', '198.51.100.0/24');
  assert.equal((await server.run(1, seen, '198.51.100.9'))[2], false);
});

test('an address from a log names the client that guards count', { skip }, async (t) => {
  const server = await startServer(t, { options: { actions: true } });
  await useUp(server, '2001:db8:1:2::');
  await useUp(server, '1.2.3.4');
  await useUp(server, '2001:db8:9::9');
  for (const [typed, key] of [
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    // A limiter that an application asks for whole addresses.
    ['2001:db8:9::9', '2001:db8:9::9'],
  ]) {
    const report = JSON.parse(await run(server, 'inspect', '--client', typed, '--json'));
    assert.deepEqual([report.client, report.limiters[0].remaining], [key, 0]);
    await run(server, 'reset', typed);
    assert.deepEqual((await server.run(1, seen, key))[0], 10);
  }
});

test('the journal has what was done, by the name of the user', { skip }, async (t) => {
  const server = await startServer(t, { options: { actions: true } });
  await sluice(['ban', CLIENT], { ...server, env: { SUDO_USER: 'ada' } });
  const { notes } = JSON.parse(await run(server, 'inspect', '--json'));
  const { action, client, user } = notes.find(({ type }) => type === 'action');
  assert.deepEqual([action, client, user], ['ban', CLIENT, 'ada (command line)']);
});

test('a user without a name is known by its number', { skip }, async (t) => {
  const server = await startServer(t, { options: { actions: true } });
  const nameless = "import os from 'node:os'; os.userInfo = () => { throw new Error('ENOENT'); };";
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(nameless)}`;
  const env = { SUDO_USER: undefined, NODE_OPTIONS };
  const { status, stderr } = await sluice(['ban', CLIENT], { ...server, env });
  assert.deepEqual([status, stderr], [0, '']);
  const { notes } = JSON.parse(await run(server, 'inspect', '--json'));
  const { user } = notes.find(({ type }) => type === 'action');
  assert.equal(user, `uid-${process.geteuid()} (command line)`);
});

/** A limiter that counts on a server which cannot be reached. */
const withoutServer = ({ load, state }) => {
  const { RateLimiter } = load();
  const scope = { redis: 'redis://127.0.0.1:1', onError: 'local', timeout: '50ms' };
  state.away = new RateLimiter('away', { limit: 5, window: '1h', scope });
};

test('a limiter whose server does not answer is named, and the others are reset', { skip }, async (t) => {
  const server = await startServer(t, { options: { actions: true } });
  await server.run(0, withoutServer);
  const text = await run(server, 'inspect', '--client', CLIENT);
  assert.match(
    text,
    /\nNothing that is known here holds it back\. The limiter away counts on a server that did not/,
  );
  await useUp(server);
  const { status, stdout, stderr } = await sluice(['reset', CLIENT], server);
  assert.deepEqual([status, stdout], [1, `${CLIENT}: reset in shop\n`]);
  assert.match(stderr, /answered 400: Redis at 127\.0\.0\.1:1\/0 has not done the call/);
  assert.match(await run(server, 'admit', CLIENT), /not known to be reset in "away"/);
});

test('without actions every one is refused, and nothing changes', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  await useUp(server);
  for (const command of ['ban', 'unban', 'block', 'reset', 'admit']) {
    const { status, stdout, stderr } = await sluice([command, CLIENT], server);
    assert.deepEqual([status, stdout], [1, ''], command);
    assert.match(
      stderr,
      /answered 403: This process allows no actions; they need inspect\(\{ actions: true \}\)/,
    );
  }
  assert.deepEqual(await server.run(0, seen, CLIENT), [0, false, false]);
});

test('without a process the only one is taken; several are listed', { skip }, async (t) => {
  const folder = freshFolder(t);
  const none = await sluice(['inspect'], { folder });
  assert.equal(none.status, 1);
  assert.match(none.stderr, /no process of this user can be inspected: a server opts in with inspect\(\)/);
  const first = await startServer(t, { folder, options: { title: 'one' } });
  const second = await startServer(t, { folder, options: { title: 'two', actions: true } });
  const list = await run(first, 'inspect');
  assert.match(list, new RegExp(`\\n *${first.pid} {2}one .* 4 {2}off\\n`));
  assert.match(list, new RegExp(`\\n *${second.pid} {2}two .* 4 {2}allowed\\n`));
  for (const args of [['top'], ['ban', CLIENT]]) {
    const { status, stderr } = await sluice(args, { folder });
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`several processes can be inspected: .*${second.pid} \\(two\\)`));
  }
  await run(second, 'ban', CLIENT, '--server', String(second.pid));
  assert.equal((await seenBy(second))[2], true);
  assert.equal((await seenBy(first))[2], false);
});

const seenBy = (server) => server.run(0, seen, CLIENT);

test('mistakes exit with 2, and say what was given and what is accepted', { skip }, async (t) => {
  const server = await startServer(t, { options: { actions: true } });
  const wrong = [
    [[], /no command is given/],
    [['bna', CLIENT], /"bna" is no command; accepted: inspect, top, ban/],
    [['ban'], /no client is given; accepted: its address or key/],
    [['ban', 'not-an-address'], /answered 400: .*not-an-address/],
    [['ban', CLIENT, '--for', 'soon'], /answered 400: .*"soon"; accepted: milliseconds/],
    [['ban', CLIENT, '--in', 'other'], /no reputation "other"; accepted: shop/],
    [['block', CLIENT, '--in', 'other'], /no limiter "other"; accepted: shop/],
    [['inspect', 'shop'], /the server is "shop"; accepted: the number of a process, or a url/],
    [['inspect', '--rows', '0'], /--rows is "0"; accepted: an integer from 1/],
    [['inspect', '--bans'], /Unknown option '--bans'; accepted: --client/],
    [['inspect', '1', '2'], /the argument "2" too many/],
    [['inspect', String(server.pid), '--header', 'a: b'], /--header is for a url/],
    [['inspect', 'http://ada:secret@localhost/'], /a user or a password; accepted: --header/],
    [['inspect', 'http://localhost/?token=secret'], /a query or a fragment/],
    [['inspect', 'http://localhost/', '--header', 'secret'], /--header is no header; accepted: a name/],
  ];
  for (const [args, message] of wrong) {
    const { status, stdout, stderr } = await sluice(args, server);
    assert.deepEqual([status, stdout], [2, ''], `${args}: ${stderr}`);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /secret/);
  }
});

test('what does not work exits with 1', { skip }, async (t) => {
  const folder = freshFolder(t);
  const uninspected = await startServer(t, { folder });
  const failing = [
    [['inspect', String(uninspected.pid)], /process \d+ cannot be inspected: a server opts in/],
    [['inspect', '9999999999'], /there is no process 9999999999 here; looked in/],
    [
      ['inspect', 'http://127.0.0.1:1/sluice'],
      /http:\/\/127\.0\.0\.1:1\/sluice cannot be reached: .*ECONNREFUSED/,
    ],
  ];
  for (const [args, message] of failing) {
    const { status, stdout, stderr } = await sluice(args, { folder });
    assert.deepEqual([status, stdout], [1, ''], stderr);
    assert.match(stderr, message);
  }
});

const isRootOfLinux = process.platform === 'linux' && process.getuid() === 0;

test('a process of another user is said to be one', { skip: !isRootOfLinux && 'needs root' }, async (t) => {
  const folder = freshFolder(t);
  const other = spawn('sleep', ['600'], { uid: 12_345, gid: 12_345, stdio: 'ignore' });
  t.after(() => other.kill('SIGKILL'));
  await once(other, 'spawn');
  const { status, stderr } = await sluice(['inspect', String(other.pid)], { folder });
  assert.equal(status, 1);
  assert.match(stderr, /process \d+ belongs to the user 12345, .*; accepted: .*sudo -u '#12345' npx sluice/);
});

test('help and version', async () => {
  const general = await sluice(['--help']);
  assert.deepEqual([general.status, general.stderr], [0, '']);
  for (const command of ['inspect', 'top', 'ban', 'unban', 'block', 'reset', 'admit']) {
    assert.ok(general.stdout.includes(`sluice ${command} `), command);
    const { status, stdout } = await sluice([command, '--help']);
    assert.equal(status, 0);
    assert.ok(stdout.startsWith(`sluice ${command} `) && stdout.includes('--json'), stdout);
    assert.match(stdout, /Exit codes: 0 done, 1 failed, 2 used wrongly\./);
  }
  const { stdout } = await sluice(['--version']);
  assert.match(stdout, /^\d+\.\d+\.\d+/);
});
