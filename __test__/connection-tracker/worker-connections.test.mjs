// One tracker, many threads: limits are exact under contention.
//
// Planted bugs that these tests detect, on two cores. Load, compare, store in the gauge of `max`: 40 312 of 40 000 in
// the first run. Reading the count of a client before taking its lock: 40 003 of 40 000 in the fourth run, and two
// connections at once under a limit of one.
import assert from 'node:assert/strict';
import test from 'node:test';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';

const THREADS = 8;
const RUNS = 10;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

test('eight threads open exactly `max` connections', async (t) => {
  const peers = startPeers(t, THREADS);
  for (let run = 1; run <= RUNS; run++) {
    const name = freshName();
    const opened = await runInAll(
      peers,
      ({ load, meet }, { name, start }) => {
        const { ConnectionTracker } = load();
        const tracker = new ConnectionTracker(name, { max: 40_000, clients: 'opaque' });
        let count = 0;
        meet(start);
        for (let call = 0; call < 10_000; call++) if (tracker.tryOpen(`client ${call % 50}`)) count++;
        return count;
      },
      { name, start: gate(THREADS) },
    );
    assert.equal(sum(opened), 40_000, `run ${run}: ${opened}`);
    const stats = await peers[0].run(({ load }, name) => new (load().ConnectionTracker)(name).stats(), name);
    assert.equal(stats.count, 40_000);
    assert.equal(stats.refused.max, THREADS * 10_000 - 40_000);
    assert.deepEqual(
      stats.perThread,
      Object.fromEntries(
        peers.map(({ threadId }, i) => [threadId, opened[i]]).filter(([, count]) => count > 0),
      ),
    );
  }
});

test('eight threads open exactly `maxPerClient` connections of one client', async (t) => {
  const peers = startPeers(t, THREADS);
  for (let run = 1; run <= RUNS; run++) {
    const name = freshName();
    const opened = await runInAll(
      peers,
      ({ load, meet }, { name, start }) => {
        const { ConnectionTracker } = load();
        const tracker = new ConnectionTracker(name, { maxPerClient: 40_000, clients: 'opaque' });
        let count = 0;
        meet(start);
        for (let call = 0; call < 10_000; call++) if (tracker.tryOpen('one client')) count++;
        return count;
      },
      { name, start: gate(THREADS) },
    );
    assert.equal(sum(opened), 40_000, `run ${run}: ${opened}`);
    const countFor = ({ load }, name) => new (load().ConnectionTracker)(name).countFor('one client');
    assert.equal(await peers[0].run(countFor, name), 40_000);
  }
});

for (const limit of ['max', 'maxPerClient']) {
  test(`with \`${limit}: 1\` a connection opens after each close, and never two at once`, async (t) => {
    const peers = startPeers(t, THREADS);
    const name = freshName();
    const held = new Int32Array(new SharedArrayBuffer(4));
    const opened = await runInAll(
      peers,
      ({ load, meet }, { name, limit, start, held }) => {
        const { ConnectionTracker } = load();
        const tracker = new ConnectionTracker(name, { [limit]: 1, clients: 'opaque' });
        let count = 0;
        meet(start);
        for (let call = 0; call < 30_000; call++) {
          const connection = tracker.tryOpen('one client');
          if (connection === null) continue;
          count++;
          // Incremented after opening and decremented before closing, so it never exceeds the number of open
          // connections.
          const together = Atomics.add(held, 0, 1) + 1;
          if (together > 1) throw new Error(`${together} at once after ${count}`);
          Atomics.sub(held, 0, 1);
          connection.close();
        }
        return count;
      },
      { name, limit, start: gate(THREADS), held },
    );
    const stats = await peers[0].run(({ load }, name) => new (load().ConnectionTracker)(name).stats(), name);
    assert.deepEqual([stats.count, stats.opened, stats.closed], [0, sum(opened), sum(opened)]);
    assert.equal(stats.refused[limit], THREADS * 30_000 - sum(opened));
    assert.deepEqual(stats.perThread, {});
  });
}
