// SecurityMonitor: options, names, and the errors for invalid ones.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName, startPeers } from '../helpers/peer.mjs';

const { SecurityMonitor } = sluice;

const IP = '192.0.2.1';
const RULE = { event: 'login-failed', count: 3, window: '1m', action: 'alert' };

const attach = ({ load, state }, [name, options]) => {
  state.monitor = new (load().SecurityMonitor)(name, options);
};

test('invalid options are rejected by name and index, and nothing is created', () => {
  const rules = (rule) => ({ rules: [RULE, { ...RULE, name: 'bad', ...rule }] });
  const invalidOptions = [
    [{}, /^SecurityMonitor rules is undefined/],
    [null, /^SecurityMonitor options is null/],
    [{ rules: {} }, /^SecurityMonitor rules is an object; accepted: an array/],
    [{ rules: [7] }, /^SecurityMonitor rules\[0\] options is 7/],
    // biome-ignore lint/suspicious/noSparseArray: a sparse array is the input under test
    [{ rules: [, RULE] }, /^SecurityMonitor rules\[0\] options is undefined/],
    [{ rules: [], histroy: 5 }, /^SecurityMonitor has no option "histroy"; accepted: history, rules/],
    [{ rules: [], history: 0 }, /^SecurityMonitor history is 0; accepted: an integer from 1 to 1000000/],
    [{ rules: [], history: 1e7 }, /^SecurityMonitor history is 10000000/],
    [{ rules: [], maxClients: 0.5 }, /^SecurityMonitor maxClients is 0.5/],
    [rules({ count: undefined }), /^SecurityMonitor rules\[1\] count is undefined/],
    [rules({ event: undefined }), /^SecurityMonitor rules\[1\] event is undefined/],
    [rules({ window: undefined }), /^SecurityMonitor rules\[1\] window is undefined/],
    [rules({ action: undefined }), /^SecurityMonitor rules\[1\] action is undefined/],
    [rules({ count: 0 }), /^SecurityMonitor rules\[1\] count is 0/],
    [rules({ count: -1 }), /^SecurityMonitor rules\[1\] count is -1/],
    [rules({ count: '3' }), /^SecurityMonitor rules\[1\] count is "3"/],
    [rules({ count: 10_001 }), /^SecurityMonitor rules\[1\] count is 10001; .* 1 to 10000$/],
    [rules({ count: 1001, distinct: true }), /^SecurityMonitor rules\[1\] count is 1001; .* 1 to 1000$/],
    [rules({ window: 0 }), /^SecurityMonitor rules\[1\] window is 0/],
    [rules({ window: -5 }), /^SecurityMonitor rules\[1\] window is -5/],
    [rules({ window: '5 m' }), /^SecurityMonitor rules\[1\] window is "5 m"/],
    [rules({ mute: -1 }), /^SecurityMonitor rules\[1\] mute is -1/],
    [rules({ distinct: 1 }), /^SecurityMonitor rules\[1\] distinct is 1/],
    [rules({ action: 'block' }), /^SecurityMonitor rules\[1\] action is "block"; accepted: "alert", "ban"$/],
    [rules({ action: 'ban' }), /^SecurityMonitor rules\[1\] action is "ban"; .* option reputation/],
    [rules({ event: '' }), /^SecurityMonitor rules\[1\] event is ""/],
    [rules({ event: 7 }), /^SecurityMonitor rules\[1\] event is 7/],
    [rules({ event: 'x'.repeat(129) }), /^SecurityMonitor rules\[1\] event is "x/],
    [rules({ threshold: 7 }), /^SecurityMonitor rules\[1\] has no option "threshold"; accepted: name, event/],
    [
      rules({ name: 'login-failed-3-per-1m' }),
      /^SecurityMonitor rules\[1\] name is "login-.*a name of its own/,
    ],
    [{ rules: [RULE, RULE] }, /^SecurityMonitor rules\[1\] name is/],
    [
      { rules: Array.from({ length: 65 }, (_, i) => ({ ...RULE, name: `${i}` })) },
      /^SecurityMonitor rules is 65 rules; accepted: at most 64/,
    ],
  ];
  for (const [options, message] of invalidOptions) {
    const name = freshName();
    const invalid = { name: 'SluiceError', code: 'ERR_SLUICE_INVALID_OPTION', message };
    assert.throws(() => new SecurityMonitor(name, options), invalid);
    assert.throws(() => new SecurityMonitor(name), { code: 'ERR_SLUICE_NOT_FOUND' }, 'nothing was created');
  }
  const invalidName = { code: 'ERR_SLUICE_INVALID_NAME' };
  for (const name of ['', 7, 'x'.repeat(129)]) {
    assert.throws(() => new SecurityMonitor(freshName(), { rules: [], reputation: name }), invalidName);
    assert.throws(() => new SecurityMonitor(freshName(), rules({ name })), invalidName);
    assert.throws(() => new SecurityMonitor(name, { rules: [] }), invalidName);
    assert.throws(() => SecurityMonitor.destroy(name), invalidName);
  }
});

test('record rejects an invalid event, address or detail and records nothing', () => {
  const monitor = new SecurityMonitor(freshName(), { rules: [{ ...RULE, count: 1 }] });
  for (const event of ['', 7, undefined, null, {}, 'x'.repeat(129), 'lone \ud800']) {
    assert.throws(() => monitor.record(event, IP), {
      name: 'SluiceError',
      code: 'ERR_SLUICE_INVALID_VALUE',
      message: /^event is .*; accepted: a non-empty string of at most 128 characters$/,
    });
  }
  for (const ip of ['', 'localhost', '1.2.3', 7, undefined, null, {}, 'x'.repeat(1_000_000)]) {
    assert.throws(() => monitor.record('login-failed', ip), { code: 'ERR_SLUICE_INVALID_ADDRESS' });
    assert.throws(() => monitor.countsFor(ip), { code: 'ERR_SLUICE_INVALID_ADDRESS' });
    if (ip !== undefined) {
      assert.throws(() => monitor.history({ ip }), { code: 'ERR_SLUICE_INVALID_ADDRESS' });
    }
  }
  for (const detail of [7, null, {}, ['a'], Symbol('a'), () => {}]) {
    assert.throws(() => monitor.record('login-failed', IP, detail), {
      code: 'ERR_SLUICE_INVALID_VALUE',
      message: /^detail is .*; accepted: a string, or undefined for none$/,
    });
  }
  const { recorded, alerts, clients, historySize } = monitor.stats();
  assert.deepEqual([recorded, alerts, clients, historySize], [0, 0, 0, 0]);
  assert.deepEqual([monitor.counts(), monitor.top()], [{}, []]);
});

test('history and top reject invalid options', () => {
  const monitor = new SecurityMonitor(freshName(), { rules: [] });
  const invalid = { code: 'ERR_SLUICE_INVALID_OPTION' };
  assert.throws(() => monitor.history({ limit: 0 }), { ...invalid, message: /^history limit is 0/ });
  assert.throws(() => monitor.history({ client: IP }), {
    ...invalid,
    message: /no option "client"; accepted: ip/,
  });
  assert.throws(() => monitor.history(7), invalid);
  assert.throws(() => monitor.history({ event: '' }), { code: 'ERR_SLUICE_INVALID_VALUE' });
  assert.throws(() => monitor.top({ limit: '3' }), { ...invalid, message: /^top limit is "3"/ });
});

test('a monitor accepts at most 1024 distinct events', () => {
  const monitor = new SecurityMonitor(freshName(), { rules: [RULE] });
  for (let i = 0; i < 1024; i++) monitor.record(`event ${i}`, IP);
  assert.throws(() => monitor.record('one more', IP), {
    code: 'ERR_SLUICE_INVALID_VALUE',
    message: /^event is "one more"; accepted: one of at most 1024 different events/,
  });
  monitor.record('event 1023', IP);
  assert.equal(monitor.stats().recorded, 1025);
});

test('equal options attach in any thread, however they are written; no options attach', async (t) => {
  const [peer] = startPeers(t, 1);
  const name = freshName();
  const monitor = new SecurityMonitor(name, { rules: [RULE] });
  monitor.record('login-failed', IP);
  const defaults = { window: 60_000, count: 3, mute: '60s', distinct: false, name: 'login-failed-3-per-1m' };
  const options = { maxClients: 100_000, history: 10_000, rules: [{ ...RULE, ...defaults }] };
  for (const given of [options, undefined]) {
    await peer.run(attach, [name, given]);
    await peer.run(({ state }, ip) => state.monitor.record('login-failed', ip), IP);
  }
  assert.deepEqual(monitor.counts(), { 'login-failed': 3 });
  assert.equal(monitor.stats().alerts, 1);
  const notFound = {
    code: 'ERR_SLUICE_NOT_FOUND',
    message: /^SecurityMonitor "missing" does not exist; give/,
  };
  assert.throws(() => new SecurityMonitor('missing'), notFound);
});

test('other options are a config mismatch that names the first difference and both values', () => {
  const name = freshName();
  new SecurityMonitor(name, { rules: [RULE], reputation: 'clients' });
  const differing = [
    [{ rules: [RULE], reputation: 'clients', history: 5 }, /history = 10000.*5/],
    [{ rules: [{ ...RULE, count: 4 }], reputation: 'clients' }, /rules = .*3 of "login-failed".*4 of/],
    [{ rules: [{ ...RULE, mute: 0 }], reputation: 'clients' }, /mute 60000 ms.*mute 0 ms/],
    [{ rules: [], reputation: 'clients' }, /rules = \[.+\]; given: \[\]/],
    [{ rules: [RULE] }, /reputation = "clients"; given: none/],
    [{ rules: [RULE], reputation: 'clients', maxClients: 5 }, /maxClients = 100000.*5/],
  ];
  for (const [options, message] of differing) {
    const mismatch = { name: 'SluiceError', code: 'ERR_SLUICE_CONFIG_MISMATCH', message };
    assert.throws(() => new SecurityMonitor(name, options), mismatch);
  }
});

test('after destroy every method throws in every thread, and the name is free', async (t) => {
  const [peer] = startPeers(t, 1);
  const name = freshName();
  const monitor = new SecurityMonitor(name, { rules: [RULE] });
  monitor.record('login-failed', IP);
  await peer.run(attach, [name]);
  assert.deepEqual([SecurityMonitor.destroy(name), SecurityMonitor.destroy(name)], [true, false]);
  const closed = {
    name: 'SluiceError',
    code: 'ERR_SLUICE_CLOSED',
    message: new RegExp(`^"${name}" was destroyed`),
  };
  const calls = [
    () => monitor.record('login-failed', IP),
    () => monitor.record('never mentioned', IP),
    () => monitor.history(),
    () => monitor.counts(),
    () => monitor.countsFor(IP),
    () => monitor.top(),
    () => monitor.stats(),
    () => monitor.on('alert', () => {}),
  ];
  for (const call of calls) assert.throws(call, closed, String(call));
  const elsewhere = peer.run(({ state }) => state.monitor.record('login-failed', '192.0.2.1'));
  await assert.rejects(elsewhere, closed);
  assert.deepEqual(new SecurityMonitor(name, { rules: [], history: 5 }).counts(), {});
  assert.throws(() => monitor.counts(), closed, 'the old instance stays closed');
});
