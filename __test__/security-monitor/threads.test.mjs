// One monitor in many threads: each event counts once; each alert is raised once and delivered once to every thread.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';

const { SecurityMonitor } = sluice;

const THREADS = 8;
const IP = '192.0.2.1';

const open = ({ load, state }, { name, options }) => {
  state.monitor = new (load().SecurityMonitor)(name, options);
};

/** Makes the peer collect its alerts. */
const collectAlerts = ({ state }) => {
  state.alerts = [];
  state.monitor.on('alert', (alert) => state.alerts.push(alert));
};

/** The alerts of a peer, once it has `count` and after some turns in which further ones could arrive. */
const alertsOf = async ({ state }, count) => {
  while (state.alerts.length < count) await new Promise(setImmediate);
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  return state.alerts;
};

async function shared(t, count, options) {
  const peers = startPeers(t, count);
  const name = freshName();
  await runInAll(peers, open, { name, options });
  return { peers, monitor: new SecurityMonitor(name) };
}

test('eight threads record: totals are exact, and each rule raises one alert', async (t) => {
  const EACH = 20_000;
  const rule = { event: 'login-failed', window: '1d', action: 'alert' };
  const counts = [1, 3, 1000, 10_000];
  const rules = [
    ...counts.map((count) => ({ ...rule, count })),
    { ...rule, name: 'different', count: 900, distinct: true },
  ];
  for (let run = 1; run <= 2; run++) {
    const { peers, monitor } = await shared(t, THREADS, { rules });
    await runInAll(peers, collectAlerts);
    await runInAll(
      peers,
      ({ meet, state }, { start, EACH, IP }) => {
        meet(start);
        for (let i = 0; i < EACH; i++) {
          state.monitor.record('login-failed', IP, `password ${i % 1000}`);
          if (i % 10 === 0) state.monitor.record('probe', `198.51.100.${i % 250}`);
        }
      },
      { start: gate(THREADS), EACH, IP },
    );
    const all = THREADS * EACH;
    assert.deepEqual(monitor.counts(), { 'login-failed': all, probe: all / 10 });
    assert.deepEqual(monitor.countsFor(IP), { 'login-failed': all });
    assert.deepEqual(monitor.top({ limit: 1 }), [{ client: IP, count: all }]);
    const { recorded, alerts, muted, historySize, historyForgotten } = monitor.stats();
    assert.deepEqual(
      { recorded, alerts, historySize, historyForgotten },
      { recorded: 1.1 * all, alerts: 5, historySize: 10_000, historyForgotten: 1.1 * all - 10_000 },
    );
    // Muted are the events after an alert: all of them for the rules on events, some for the distinct rule.
    const byCount = counts.reduce((sum, count) => sum + all - count, 0);
    assert.ok(muted > byCount && muted < byCount + all, `${muted}`);
    const sequences = monitor.history().map(({ sequence }) => sequence);
    assert.deepEqual(
      sequences,
      Array.from({ length: 10_000 }, (_, i) => recorded - 1 - i),
    );
    const alertsByPeer = await runInAll(peers, alertsOf, 5);
    for (const alerts of alertsByPeer) {
      assert.deepEqual(
        alerts.map(({ count }) => count).sort((a, b) => a - b),
        [1, 3, 900, 1000, 10_000],
        `run ${run}`,
      );
      assert.deepEqual(alerts, alertsByPeer[0], 'all threads get the same alerts in the same order');
    }
    await Promise.all(peers.map((peer) => peer.end()));
  }
});

test('the events of all threads fall into one window of a client', async (t) => {
  const CLIENTS = 500;
  const rules = [{ event: 'probe', count: THREADS, window: '1d', action: 'alert' }];
  const { peers, monitor } = await shared(t, THREADS, { rules });
  await peers[0].run(collectAlerts);
  await runInAll(
    peers,
    ({ meet, state }, { start, CLIENTS }) => {
      meet(start);
      for (let i = 0; i < CLIENTS; i++) state.monitor.record('probe', `10.0.${i >> 8}.${i & 255}`);
    },
    { start: gate(THREADS), CLIENTS },
  );
  const alerts = await peers[0].run(alertsOf, CLIENTS);
  assert.equal(alerts.length, CLIENTS);
  assert.equal(new Set(alerts.map(({ client }) => client)).size, CLIENTS);
  assert.deepEqual([monitor.stats().alerts, monitor.stats().muted], [CLIENTS, 0]);
});

test('a flood from eight threads stays within maxClients', async (t) => {
  const EACH = 150_000;
  const rules = [{ event: 'probe', count: 5, window: '1d', action: 'alert' }];
  const { peers, monitor } = await shared(t, THREADS, { rules, maxClients: 1000 });
  await runInAll(
    peers,
    ({ meet, state, require }, { start, EACH }) => {
      const thread = require('node:worker_threads').threadId % 256;
      meet(start);
      for (let i = 0; i < EACH; i++) {
        state.monitor.record('probe', `${(i >> 16) + 10}.${thread}.${(i >> 8) & 255}.${i & 255}`);
      }
    },
    { start: gate(THREADS), EACH },
  );
  const { clients, recorded, alerts } = monitor.stats();
  assert.deepEqual({ clients, recorded, alerts }, { clients: 1000, recorded: THREADS * EACH, alerts: 0 });
  assert.equal(monitor.top({ limit: 2000 }).length, 1000);
});

test('a blocked thread misses the oldest alerts, and the next reports how many in missed', async (t) => {
  const rules = [{ event: 'probe', count: 1, window: '1d', mute: 0, action: 'alert' }];
  const { peers, monitor } = await shared(t, 1, { rules });
  const [peer] = peers;
  await peer.run(collectAlerts);
  const words = new Int32Array(new SharedArrayBuffer(8));
  const blocked = peer.run((_, words) => {
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    Atomics.wait(words, 1, 0);
  }, words);
  await Atomics.waitAsync(words, 0, 0).value;
  for (let i = 0; i < 1500; i++) monitor.record('probe', IP, String(i));
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  await blocked;
  const alerts = await peer.run(alertsOf, 1024);
  assert.equal(alerts.length, 1024);
  assert.deepEqual([alerts[0].detail, alerts[0].missed], [String(1500 - 1024), 1500 - 1024]);
});

test('terminating subscribed threads leaves counts exact and delivery to other threads intact', async (t) => {
  const rules = [{ event: 'probe', count: 1, window: '1d', mute: 0, action: 'alert' }];
  const { peers, monitor } = await shared(t, 4, { rules });
  await runInAll(peers, collectAlerts);
  const recordForever = ({ state }) => {
    for (;;) state.monitor.record('probe', '192.0.2.2');
  };
  // Never settles: the threads are terminated.
  for (const peer of peers.slice(0, 3)) peer.run(recordForever);
  while (monitor.stats().recorded < 10_000) await new Promise(setImmediate);
  await Promise.all(peers.slice(0, 3).map((peer) => peer.end()));
  const { recorded, alerts } = monitor.stats();
  assert.equal(recorded, alerts);
  assert.deepEqual(monitor.counts(), { probe: recorded });
  monitor.record('probe', IP, 'after');
  const client = await peers[3].run(async ({ state }) => {
    while (state.alerts.at(-1)?.detail !== 'after') await new Promise(setImmediate);
    return state.alerts.at(-1).client;
  });
  assert.equal(client, IP);
});

test('a listener does not keep its thread alive', async (t) => {
  const rules = [{ event: 'probe', count: 1, window: '1d', action: 'alert' }];
  const { peers, monitor } = await shared(t, 1, { rules });
  await peers[0].run(collectAlerts);
  peers[0].run(({ require }) => require('node:worker_threads').parentPort.unref());
  await peers[0].exited;
  monitor.record('probe', IP);
  assert.equal(monitor.stats().alerts, 1);
});

test('a monitor keeps its state when the recording threads end', async (t) => {
  const rules = [{ event: 'probe', count: 3, window: '1d', action: 'alert' }];
  const { peers, monitor } = await shared(t, 2, { rules });
  for (const peer of peers) {
    await peer.run(({ state }, ip) => state.monitor.record('probe', ip), IP);
    await peer.end();
  }
  monitor.record('probe', IP);
  assert.deepEqual([monitor.stats().alerts, monitor.history().length], [1, 3]);
});
