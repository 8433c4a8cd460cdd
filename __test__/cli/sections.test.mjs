// Numbers and sentences of what `sluice` prints.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import components from '../../lib/cli/component-sections.js';
import format from '../../lib/cli/format.js';
import notes from '../../lib/cli/notes.js';
import rates from '../../lib/cli/rates.js';
import table from '../../lib/cli/table.js';

test('rates leave the second under way out', () => {
  const limiters = [
    { name: 'a', first: 1, rows: [10, 2, 0, 20, 4, 0, 999, 999, 999] },
    { name: 'b', first: 3, rows: [5, 5, 5] },
    { name: 'c', first: 0, rows: [] },
  ];
  const found = rates.limiterRates({ history: { limiters, guards: [] } });
  assert.deepEqual(found.get('a'), { name: 'a', seconds: 2, allowed: 15, refused: 3, dryRun: 0 });
  for (const name of ['b', 'c']) {
    assert.deepEqual(found.get(name), { name, seconds: 0, allowed: 0, refused: 0, dryRun: 0 });
  }
  const guards = [{ name: 'g', first: 1, rows: [8, 1, 2, 3, 4, 5, 6, 7, 9, 10, ...Array(10).fill(0)] }];
  const [guard] = rates.guardRates({ history: { limiters: [], guards } });
  const { allowed, connections, ban, accept, concurrency, overload } = guard;
  assert.deepEqual([allowed, connections, ban, accept, concurrency, overload], [8, 2, 3, 6, 9, 10]);
});

test('spans, times and counts', () => {
  const spans = [0, 999, 1_000, 61_000, 3_600_000, 90_061_000].map(format.span);
  assert.deepEqual(spans, ['0 ms', '999 ms', '1 s', '1 min 1 s', '1 h', '1 d 1 h']);
  assert.deepEqual([0, 0.01, 5, 1_500].map(format.rate), ['0', '< 0.1', '5.0', '1,500']);
  assert.deepEqual([999, 1_500, 2_500_000].map(format.bytes), ['999 B', '1.5 kB', '2.5 MB']);
  const noon = new Date(2026, 2, 5, 12, 0, 7).getTime();
  assert.equal(format.time(noon, noon + 3_600_000), '12:00:07');
  assert.equal(format.time(noon, noon + 86_400_000), '2026-03-05 12:00:07');
});

test('notes that say the same are one line with their number', () => {
  const ban = { type: 'ban', client: '203.0.113.7', reason: 'scan', source: 'shop' };
  const action = { type: 'action', what: 'reset', source: 'shop', user: 'ada' };
  const lines = notes.grouped([{ ...ban, at: 3 }, { ...ban, at: 2 }, action, { ...ban, at: 1 }]);
  assert.deepEqual(
    lines.map(({ at, sentence }) => [at, sentence]),
    [
      [3, 'scan (shop), 2 times'],
      [undefined, 'reset in shop, by ada'],
      [1, 'scan (shop)'],
    ],
  );
});

test('a table gives way in its widest column, then leaves columns out', () => {
  const section = {
    title: 'Title',
    columns: [{ head: 'Key' }, { head: 'Number', isRight: true }],
    rows: [['a-long-key-of-a-client', { text: '12', style: 'red' }]],
    empty: '',
  };
  const linesAt = (width) => table.sectionLines(section, { width, paint: table.painter(false) });
  assert.deepEqual(linesAt(100), [
    'Title',
    'Key                     Number',
    'a-long-key-of-a-client      12',
  ]);
  assert.deepEqual(linesAt(20), ['Title', 'Key           Number', 'a-long-key-…      12']);
  assert.deepEqual(linesAt(8), ['Title', 'Key', 'a-long-…']);
  const [, , coloured] = table.sectionLines(section, { width: 100, paint: table.painter(true) });
  assert.equal(coloured, 'a-long-key-of-a-client  \u001b[31m    12\u001b[0m');
});

test('semaphores and load shedders are among the other components', () => {
  const none = { lifecycles: [], monitors: [], registries: [], counters: [] };
  const semaphores = [{ name: 'db', permits: 5, held: 3, waiting: 2, keys: 1 }];
  const shed = { high: 1, normal: 2, low: 3 };
  const shedders = [{ name: 'site', threads: 4, behind: 1, delayMs: 60, shed }];
  assert.deepEqual(components.others({ ...none, semaphores, shedders }).rows, [
    ['Semaphore', 'db', '3 of 5 permits held, 2 waiting'],
    ['Load shedder', 'site', '1 of 4 threads behind, laps of 60 ms, 6 requests shed'],
  ]);
});
