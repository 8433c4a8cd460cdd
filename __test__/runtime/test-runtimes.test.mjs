// How `npm run test:runtimes` judges what failed: each cross of its table is known, and each known one is still there.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { root } from '../../scripts/addon.mjs';
import { entriesOf } from '../../scripts/test-runtimes/known.mjs';
import { parseReport } from '../../scripts/test-runtimes/outcomes.mjs';
import { AREAS, summaryOf } from '../../scripts/test-runtimes/page.mjs';
import { verdictOf } from '../../scripts/test-runtimes/verdict.mjs';

const ENTRIES = [
  { tests: { 'broker/ends': ['are collected'], 'broker/storm': [] } },
  { intermittent: 'a race', tests: { 'lifecycle/queue': [] } },
];

const THREAD = /^https:\/\/github\.com\/[\w/-]+\/(issues|pull)\/\d+$/;

const verdict = (outcomes) => {
  const { passed, known, unexpected, stale } = verdictOf('bun', new Map(Object.entries(outcomes)), ENTRIES);
  return { passed, known: known.length, unexpected, stale };
};
const outcome = (failed, passed = []) => ({ passed, failed });

test('a failure that an entry names is known', () => {
  const ends = outcome(['brokers are collected'], ['others']);
  const storm = outcome(['a storm']);
  assert.deepEqual(verdict({ 'broker/ends': ends, 'broker/storm': storm }), {
    passed: 1,
    known: 2,
    unexpected: [],
    stale: [],
  });
});

test('a failure that no entry names is unexpected, in any file', () => {
  const ends = outcome(['brokers are collected', 'a call is lost']);
  const { unexpected, stale } = verdict({ 'broker/ends': ends, 'hit-counter/threads': outcome(['a total']) });
  assert.deepEqual(unexpected, [
    { file: 'broker/ends', test: 'a call is lost' },
    { file: 'hit-counter/threads', test: 'a total' },
  ]);
  assert.deepEqual(stale, []);
});

test('a file that crashed, hung or reported nothing is unexpected where any of its tests may fail', () => {
  for (const how of ['was ended by SIGSEGV', 'took longer than 300 s', 'exited with 1']) {
    const { unexpected } = verdict({ 'broker/storm': outcome([`(the process ${how})`]) });
    assert.equal(unexpected.length, 1, how);
  }
});

test('an entry is stale once its tests pass, unless it is intermittent or its file was not run', () => {
  const { stale } = verdict({
    'broker/ends': outcome([], ['brokers are collected']),
    'lifecycle/queue': outcome([]),
  });
  assert.deepEqual(stale, [{ file: 'broker/ends', test: 'are collected' }]);
  assert.deepEqual(verdict({ 'broker/storm': outcome([]) }).stale, [{ file: 'broker/storm', test: '' }]);
});

test('a report is read whatever is in the names of its tests', () => {
  const xml = `<testsuites><testsuite name="of a">
    <testcase name="() => &quot;a/b&quot;" classname="test"/>
    <testcase name="() => b" classname="test"><failure message="x > y"/></testcase>
    </testsuite><testcase name="c" classname="test"><skipped/></testcase></testsuites>`;
  assert.deepEqual(parseReport(xml, 'a.test.mjs'), {
    passed: ['of a > () => "a/b"'],
    failed: ['of a > () => b'],
    skipped: ['c'],
  });
});

test('the table of a run has crosses for what failed in it, and nothing for areas that were not run', () => {
  const outcomes = new Map([
    ['registry/values', outcome([], ['a value'])],
    ['listen/listen', outcome(['backlog bounds the queue'])],
    ['hit-counter/threads', outcome(['a total'])],
  ]);
  const table = summaryOf(new Map([['bun', { outcomes, verdict: verdictOf('bun', outcomes) }]]));
  const rows = table.split('\n').map((line) => line.split(' | '));
  const cellOf = (area) => rows.find(([first]) => first === `| ${area}`)[1].replace(' |', '');
  assert.equal(cellOf('`Registry`'), '✓');
  assert.match(cellOf('`listen`'), /^✗ \d+$/);
  assert.equal(cellOf('`HitCounter`, stores'), '✗ !');
  assert.equal(cellOf('`ClientHub`').trim(), '');
});

test('every folder of tests is in an area of the table', () => {
  const folders = readdirSync(path.join(root, '__test__'), { recursive: true })
    .filter((name) => name.endsWith('.test.mjs') && !name.includes('node_modules'))
    .map((name) => name.split(path.sep)[0]);
  const areas = Object.values(AREAS).flat();
  assert.deepEqual([...new Set(folders)].sort(), [...areas].sort());
});

test('each entry says what, and why with the thread of upstream, null where none was found', () => {
  for (const { what, why, issue, isOfTest, intermittent } of ['bun', 'deno'].flatMap(entriesOf)) {
    assert.ok(what.length > 0);
    if (!isOfTest) assert.ok(why.length > 0 && (issue === null || THREAD.test(issue)), what);
    assert.ok(intermittent === undefined || intermittent.length > 0, what);
  }
});
