// Bans, failures and lists that all processes of the machine share.
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import sluice from '../../index.js';
import { filesIn, onLinux, sharedDirectory, startProcesses } from '../helpers/machine.mjs';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter, Reputation, createGuard } = sluice;

const CLIENT = '203.0.113.7';

/** `scope` has what is in the scope beside the directory. */
const optionsFor = (directory, { scope, ...options } = {}) => ({
  maxFailures: 4,
  findTime: '1h',
  banTime: '1h',
  maxBanTime: '1d',
  maxClients: 100,
  ...options,
  scope: { shared: directory, ...scope },
});

function open(t, directory, options) {
  const name = freshName();
  t.after(() => Reputation.destroy(name));
  return new Reputation(name, optionsFor(directory, options));
}

test('failures of processes make one ban, which outlives them', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const here = open(t, directory);
  const peers = startProcesses(t, 3);
  const data = { name: here.name, options: optionsFor(directory), client: CLIENT };
  const counts = await Promise.all(
    peers.map((peer) =>
      peer.run(({ load, state }, { name, options, client }) => {
        state.reputation = new (load().Reputation)(name, options);
        let failures = 0;
        while (!state.reputation.isBanned(client)) {
          state.reputation.recordFailure(client, { reason: 'password' });
          failures++;
        }
        return failures;
      }, data),
    ),
  );
  assert.ok(counts.reduce((sum, count) => sum + count, 0) >= 4);
  const { banned, failures, bans, reason } = here.check(CLIENT);
  assert.deepEqual(
    { banned, failures, bans, reason },
    { banned: true, failures: 4, bans: 1, reason: 'password' },
  );
  const { failures: counted, bans: made, processes } = here.stats();
  assert.deepEqual([counted, made, processes], [4, 1, 4]);

  await Promise.all(peers.map((peer) => peer.kill()));
  assert.ok(here.isBanned(CLIENT));
  const stats = here.stats();
  assert.deepEqual([stats.processes, stats.deaths, stats.machine.trouble], [1, 3, null]);
});

test('bans by hand, ranges and lists are those of every process', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const here = open(t, directory, { deny: ['192.0.2.0/24'] });
  const [peer] = startProcesses(t, 1);
  const data = { name: here.name, options: optionsFor(directory, { deny: ['192.0.2.0/24'] }) };
  const until = await peer.run(({ load, state }, { name, options }) => {
    const reputation = new (load().Reputation)(name, options);
    state.reputation = reputation;
    reputation.ban('203.0.113.8', { duration: Number.POSITIVE_INFINITY, reason: 'by hand' });
    reputation.ban('198.51.100.0/24', { duration: '1h' });
    return reputation.check('198.51.100.7').until;
  }, data);
  const banned = ['203.0.113.8', '198.51.100.7', '192.0.2.1'].map((ip) => here.isBanned(ip));
  assert.deepEqual(banned, [true, true, true]);
  assert.deepEqual(
    here.bans().map(({ client, reason }) => [client, reason]),
    [
      ['198.51.100.0/24', null],
      ['203.0.113.8', 'by hand'],
    ],
  );
  assert.ok(Math.abs(here.check('198.51.100.7').until - until) <= 2, 'the same date');
  assert.ok(Math.abs(until - Date.now() - 3_600_000) < 60_000);

  here.setLists({ allow: ['198.51.100.7'] });
  assert.ok(here.unban('203.0.113.8') && !here.unban('203.0.113.8'));
  const seen = await peer.run(({ state: { reputation } }) =>
    ['203.0.113.8', '198.51.100.7', '198.51.100.8', '192.0.2.1'].map((ip) => reputation.isBanned(ip)),
  );
  assert.deepEqual(seen, [false, false, true, false]);
  const { allow, deny, ranges } = here.stats();
  assert.deepEqual([allow, deny, ranges], [1, 0, 1]);
});

test('a process that is killed at any time loses no ban', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const here = open(t, directory);
  const data = { name: here.name, options: optionsFor(directory) };
  let banned = 0;
  for (let round = 0; round < 5; round++) {
    const [peer] = startProcesses(t, 1);
    await peer.run(({ load, state }, { name, options }) => {
      state.reputation = new (load().Reputation)(name, options);
    }, data);
    // Bans one client after the other, each told once it is made, until it is killed.
    const told = peer.run(
      ({ state: { reputation } }, { from }) =>
        new Promise(() => {
          let host = from;
          setInterval(() => {
            reputation.ban(`10.0.${host >> 8}.${host & 255}`, { duration: '1h' });
            host++;
          });
        }),
      { from: banned },
    );
    while (!here.isBanned(`10.0.${(banned + 4) >> 8}.${(banned + 4) & 255}`)) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await peer.kill();
    await assert.rejects(told, /ended/);
    banned += 5;
    for (let host = 0; host < banned; host++) {
      assert.ok(here.isBanned(`10.0.${host >> 8}.${host & 255}`), `client ${host}`);
    }
    // The next round begins behind what this one banned.
    for (const { client } of here.bans()) {
      const [, , high, low] = client.split('.').map(Number);
      if (high * 256 + low >= banned) here.unban(client);
    }
  }
  assert.equal(here.bans().length, banned);
});

test('events of other processes arrive, once each', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const here = open(t, directory);
  const [peer] = startProcesses(t, 1);
  const heard = [];
  for (const event of ['ban', 'unban', 'expire']) {
    here.on(event, ({ client, by }) => heard.push([event, client, by]));
  }
  const data = { name: here.name, options: optionsFor(directory) };
  await peer.run(({ load, state }, { name, options }) => {
    state.reputation = new (load().Reputation)(name, options);
    state.reputation.ban('203.0.113.8', { duration: '1h' });
  }, data);
  await untilHeard(heard, 1);
  await peer.run(({ state: { reputation } }) => {
    reputation.unban('203.0.113.8');
    reputation.ban('198.51.100.0/24', { duration: '1h' });
  });
  await untilHeard(heard, 3);
  here.ban(CLIENT, { duration: '1h' });
  await untilHeard(heard, 4);
  assert.deepEqual(heard[0], ['ban', '203.0.113.8', 'manual']);
  assert.deepEqual(heard.slice(1, 3).map(String).sort(), [
    'ban,198.51.100.0/24,manual',
    'unban,203.0.113.8,manual',
  ]);
  assert.deepEqual(heard[3], ['ban', CLIENT, 'manual']);
});

/** A look at other processes is due every 250 ms. */
async function untilHeard(heard, count) {
  const deadline = Date.now() + 10_000;
  while (heard.length < count) {
    assert.ok(Date.now() < deadline, `heard ${JSON.stringify(heard)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('other options are refused while a process is attached, or come into force', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const here = open(t, directory);
  const [peer] = startProcesses(t, 1);
  const attach = ({ load }, { name, options }) => {
    const reputation = new (load().Reputation)(name, options);
    return reputation.recordFailure('203.0.113.9').banned;
  };
  const other = (options) => ({ name: here.name, options: optionsFor(directory, options) });
  await assert.rejects(peer.run(attach, other({ maxFailures: 1 })), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /maxFailures = 4/,
  });
  await assert.rejects(peer.run(attach, other({ maxClients: 50, scope: { onMismatch: 'reconfigure' } })), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /maxClients = 100.*fixed at creation/,
  });
  const options = { maxFailures: 1, deny: ['192.0.2.1'], scope: { onMismatch: 'reconfigure' } };
  assert.equal(await peer.run(attach, other(options)), true);
  assert.ok(here.recordFailure(CLIENT).banned, 'one failure bans in this process, too');
  assert.ok(here.isBanned('192.0.2.1'));
});

test('what cannot be shared is refused', onLinux, (t) => {
  const directory = sharedDirectory(t);
  const name = freshName();
  t.after(() => Reputation.destroy(name));
  const refuse = (options, code, message) =>
    assert.throws(() => new Reputation(name, optionsFor(directory, options)), {
      code: `ERR_SLUICE_${code}`,
      message,
    });
  refuse({ persist: { path: `${directory}/bans` } }, 'UNSUPPORTED', /persist/);
  refuse({ scope: { shared: '/proc/self' } }, 'SCOPE_UNAVAILABLE', /\/proc\/self/);
  refuse({ scope: { shared: 7 } }, 'INVALID_OPTION', /scope\.? ?shared is 7/);
  refuse({ scope: { shared: directory, other: 1 } }, 'INVALID_OPTION', /other/);
  refuse({ maxFailures: 0 }, 'INVALID_OPTION', /maxFailures is 0/);
  assert.deepEqual(filesIn(directory), []);
  new Reputation(name, optionsFor(directory));
  const { scope: _, ...ofProcess } = optionsFor(directory);
  assert.throws(() => new Reputation(name, ofProcess), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /scope/,
  });
  assert.equal(new Reputation(name).stats().processes, 1, 'without options it attaches');
  const persist = { path: `${directory}/bans` };
  refuse({ persist, onMismatch: 'reconfigure' }, 'UNSUPPORTED', /has persist, and processes share it/);
});

test('destroy ends it here, or everywhere', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const here = open(t, directory);
  const [peer] = startProcesses(t, 1);
  const data = { name: here.name, options: optionsFor(directory), client: CLIENT };
  await peer.run(({ load, state }, { name, options, client }) => {
    state.reputation = new (load().Reputation)(name, options);
    state.reputation.ban(client, { duration: '1h' });
    state.reputation.ban('198.51.100.0/24', { duration: '1h' });
  }, data);
  const isBannedThere = () => peer.run(({ state }, { client }) => state.reputation.isBanned(client), data);
  assert.ok(Reputation.destroy(here.name));
  assert.throws(() => here.isBanned(CLIENT), { code: 'ERR_SLUICE_CLOSED' });
  assert.equal(await isBannedThere(), true);
  const again = new Reputation(here.name, optionsFor(directory));
  assert.ok(again.isBanned(CLIENT));
  assert.ok(Reputation.destroy(here.name, { everywhere: true }));
  await assert.rejects(isBannedThere(), { code: 'ERR_SLUICE_CLOSED' });
  assert.deepEqual(filesIn(directory), []);
});

test('a list file that cannot be read for a while is read later', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const here = open(t, directory);
  const [peer] = startProcesses(t, 1);
  const data = { name: here.name, options: optionsFor(directory) };
  await peer.run(({ load, state }, { name, options }) => {
    state.reputation = new (load().Reputation)(name, options);
    state.reputation.ban('198.51.100.0/24', { duration: '1h' });
  }, data);
  const [file] = filesIn(directory).filter((file) => file.includes('.lists.'));
  const path = join(directory, file);
  chmodSync(path, 0o640);
  assert.equal(here.isBanned('198.51.100.7'), false);
  assert.match(here.stats().machine.trouble, /has the mode 640/);
  chmodSync(path, 0o600);
  here.ban('192.0.2.0/24', { duration: '1h' });
  assert.deepEqual([here.isBanned('198.51.100.7'), here.stats().machine.trouble], [true, null]);
});

test('guards of processes share their bans by the scope of the guard', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const name = freshName();
  const reputation = { maxFailures: 2, findTime: '1h', banTime: '1h', maxBanTime: '1d', maxClients: 100 };
  const options = {
    reputation,
    rateLimit: { limit: 10, window: '1h', maxKeys: 100 },
    scope: { shared: directory },
  };
  const guard = createGuard(name, options);
  t.after(() => Reputation.destroy(name));
  t.after(() => RateLimiter.destroy(name));
  const [peer] = startProcesses(t, 1);
  await peer.run(
    ({ load, state }, { name, options }) => {
      state.guard = load().createGuard(name, options);
      state.guard.reputation.recordFailure('127.0.0.9');
    },
    { name, options },
  );
  const check = () => guard.check({ headers: {}, socket: { remoteAddress: '127.0.0.9' }, url: '/' });
  assert.equal(check().allowed, true);
  assert.ok(guard.reputation.recordFailure('127.0.0.9').banned, 'one failure in each process');
  const there = await peer.run(({ state }) => {
    const { status } = state.guard.check({ headers: {}, socket: { remoteAddress: '127.0.0.9' }, url: '/' });
    return [status, state.guard.reputation.stats().processes];
  });
  assert.deepEqual(there, [403, 2]);
  assert.equal(check().status, 403);
});
