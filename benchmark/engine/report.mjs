// The results of the engine, as Markdown.
import { table } from '../table.mjs';
import { millions, nanoseconds, percentiles, spreadOf, waited } from './cells.mjs';
import { distinct, isSluice, OVER_CORES, only, threadsHeading, times, where } from './rows.mjs';
import { security } from './security.mjs';

const MIXES = {
  'read-heavy': '95 % of the calls are refused, 5 % admitted',
  mixed: 'half of the calls are refused, half admitted',
  'insert-heavy': 'each call comes from a new key, 65 536 of them into an empty map',
  'one hot key, admitted': 'one key, which is always admitted',
  'one hot key, refused': 'one key, which is never admitted',
  'all admitted': '10 000 keys, all admitted',
  'all refused': '10 000 keys, all refused',
};

export function engineSections(results) {
  return [
    introduction(results),
    ...contention(results),
    strings(results),
    integers(results),
    registry(results),
    ...security(results),
  ];
}

function introduction({ rows, settings, peers, reading, noise }) {
  const rounds = Math.min(...rows.map(({ callsPerSecond }) => callsPerSecond.length));
  return `One process measures all contenders (${peers}): ${rounds} rounds or more
of ${settings.sliceMs} ms for each case, in a different order in each round. Numbers are medians over the rounds, *spread* is half of the distance
between the quartiles, the widest of a row, and ratios are taken within a round. Threads are pinned to cores in turn. Load average ${noise.before.toFixed(1)} before the run and ${noise.after.toFixed(1)} after
it; the run itself is in it.

- Every limit is the same GCRA decision on one atomic time per key, or governor's own. Keys are the same strings.
- \`sluice\` calls through a thread-local handle and hashes the UTF-16 units of the key in each call, with SipHash-1-3 and
  128 bits, as the addon does. With \`without handles\`, all threads call the limiter itself; with \`hash given\`, the hash is passed
  in, as by a key handle of the addon. The maps and \`governor, rapidhash\` hash with rapidhash, which is faster and does not
  protect against a flood of chosen keys; \`governor\` hashes with Rust's default.
- Calls get a fixed time. \`governor\` reads its own clock: a fixed one, which is one load, and in \`its clock\` its default.
  \`sluice, its clock\` reads sluice's clock in each call.
- Maps have room for a quarter more keys than there are, and so has \`maxKeys\` of sluice. Only sluice is bounded: the others
  grow until they are swept, which is not measured.
- Percentiles are of every 64th call, timed with the processor's counter. Reading it takes about ${reading.toFixed(0)} ns, which is **not**
  subtracted; where the counter moves in steps, percentiles do too.
- *Waited*: each lock is tried first, and only the wait after a failure is timed. A dash means that a call takes no
  lock; governor does not expose its locks.`;
}

function contention({ rows, settings: { threads } }) {
  const ofAll = where(rows, { section: 'contention' });
  return distinct(ofAll, 'load').map((mix) => {
    const ofMix = where(ofAll, { load: mix });
    const by = (contender, count) => only(ofMix, { contender, threads: count });
    const contenders = distinct(ofMix, 'contender');
    const headings = (first) => [first, ...threads.map(threadsHeading)];
    const rowsBy = (cell) =>
      contenders.map((name) => [name, ...threads.map((count) => cell(by(name, count)))]);
    const throughput = rowsBy(millions).map((row) => [...row, spreadOf(where(ofMix, { contender: row[0] }))]);
    return `### A limit per client: ${mix}

In this mix: ${MIXES[mix]}.

${table([...headings('million calls/s by threads'), 'spread'], throughput)}

${table(headings('ns of single calls, p50 / p95 / p99'), rowsBy(percentiles))}

${table(headings('ns waited for locks, per call'), rowsBy(waited))}

${OVER_CORES}${forgotten(ofMix)}`;
  });
}

function strings({ rows }) {
  return `### Strings for keys

One thread and two, with calls that consist almost only of the hash and the map; the keys are addresses, and each load uses half
of them. \`sluice\` hashes the UTF-16 units of the address. \`governor\` hashes its UTF-8 bytes with Rust's default, SipHash-1-3.
The columns *sluice ×* are the throughput of \`sluice\` divided by that of the row.

${byClients(where(rows, { section: 'strings' }))}`;
}

function integers({ rows }) {
  return `### Integers for keys

As above. \`sluice\` hashes the integer twice with rapidhash, for the two halves that it stores of a key, and \`SipHash\` once with
SipHash-1-3 and 128 bits.

${byClients(where(rows, { section: 'integers' }))}`;
}

/** A table for each number of clients. */
function byClients(ofAll) {
  const tables = distinct(ofAll, 'keys').map((keys) => {
    const ofKeys = where(ofAll, { keys });
    const by = (contender, load, threads) => only(ofKeys, { contender, load, threads });
    const cases = ['admitted', 'refused'].flatMap((load) => [1, 2].map((threads) => [load, threads]));
    const headings = cases.map(([load, threads]) => `${load}, ${threadsHeading(threads)}`);
    const lines = distinct(ofKeys, 'contender').map((name) => [
      name,
      ...cases.map((one) => millions(by(name, ...one))),
      spreadOf(where(ofKeys, { contender: name })),
      ...cases.map((one) => times(by('sluice', ...one), by(name, ...one)).toFixed(2)),
    ]);
    const columns = [
      'million calls/s',
      ...headings,
      'spread',
      ...headings.map((heading) => `sluice ×: ${heading}`),
    ];
    return `${keys.toLocaleString('en')} clients:\n\n${table(columns, lines)}${forgotten(ofKeys)}`;
  });
  return tables.join('\n\n');
}

function registry({ rows, go, settings: { threads } }) {
  const ofAll = where(rows, { section: 'registry' });
  const contenders = distinct(ofAll, 'contender');
  const cases = [
    ...threads.map((count) => ['concurrent reads', count]),
    ...['sequential reads', 'write once, read many', 'get all'].map((load) => [load, 1]),
  ];
  const lines = cases.map(([load, count]) => [
    load === 'concurrent reads' ? `${load}, ${threadsHeading(count)}` : load,
    ...contenders.map((contender) => nanoseconds(only(ofAll, { contender, load, threads: count }))),
  ]);
  const widest = ['*spread*', ...contenders.map((contender) => spreadOf(where(ofAll, { contender })))];
  const ofGo =
    go === undefined
      ? ''
      : ` Go is ${go.replace('go', '')}; its program runs after the others, on goroutines; ratios with it are of medians.`;
  return `### Registry

1 000 keys with values of 27 bytes. ns per call of all threads together, less is better: *concurrent reads* of random keys,
by threads; *sequential reads* in the order of keys; *write once, read many*, where each key of an empty map is written
once and read 100 times; *get all*, one call for all 1 000 values. sluice copies the table of keys on each write; \`replaceAll\`
fills it in one write. sluice and the \`RwLock\` return a value that stays valid while others write, by counting references; Go's
collector makes that unnecessary.${ofGo}

${table(['ns per call', ...contenders], [...lines, widest])}

${OVER_CORES}`;
}

/** Reports calls answered differently because the bounded table had evicted a client. */
function forgotten(rows) {
  const most = Math.max(...rows.filter(isSluice).map(({ unlike }) => unlike));
  if (most === 0) return '';
  return `\n\nsluice answered up to ${(100 * most).toPrecision(2)} % of the calls differently from an unbounded map, for keys that it had evicted.`;
}
