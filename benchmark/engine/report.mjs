// What the engine's run found, as Markdown.
import { table } from '../table.mjs';
import { millions, nanoseconds, percentiles, spreadOf, waited } from './cells.mjs';
import { distinct, isOurs, OVER_CORES, only, threadsHeading, times, where } from './rows.mjs';
import { security } from './security.mjs';

const MIXES = {
  'read-heavy': '95 % of the calls are refused, 5 % admitted',
  mixed: 'half of the calls are refused, half admitted',
  'insert-heavy': 'each call comes from a client never seen, 65 536 of them into an empty map',
  'one hot key, admitted': 'one client, who always passes',
  'one hot key, refused': 'one client, who never passes',
  'all admitted': '10 000 clients, who all pass',
  'all refused': '10 000 clients, none of whom passes',
};

export function engineSections(results) {
  return [
    introduction(results),
    ...contention(results),
    integers(results),
    registry(results),
    ...security(results),
  ];
}

function introduction({ rows, settings, peers, reading, noise }) {
  const rounds = Math.min(...rows.map(({ callsPerSecond }) => callsPerSecond.length));
  return `One process measures all contenders (${peers}): ${rounds} rounds or more
of ${settings.sliceMs} ms for each case, in another order in each round. Numbers are medians over the rounds, *spread* is half of the distance
between the quartiles, the widest of a row, and ratios are taken within a round. Threads are pinned to cores in turn. Load average ${noise.before.toFixed(1)} before the run and ${noise.after.toFixed(1)} after
it; the run itself is in it.

- Every limit is the same GCRA decision on one atomic time per client, or governor's own. Keys are the same strings.
- \`sluice\` is asked from a seat of each thread and hashes the UTF-16 units of the key in each call, with SipHash-1-3
  and 128 bits, as the addon does; \`without seats\`, all threads call the limiter itself; \`hash given\` is told the
  hash, as a handle of the addon does. The maps and \`governor, rapidhash\` hash with
  rapidhash, which is faster and keeps no flood of chosen keys away; \`governor\` hashes with Rust's default.
- Calls are given a time that stands still. \`governor\` reads a clock of its own: one that stands still, which is one
  load, and in \`its clock\` the one it takes by default. \`sluice, its clock\` reads ours in each call.
- Maps are made with room for a quarter more clients than there are, \`maxKeys\` of ours too. Only ours is bounded:
  the others grow until somebody sweeps them, which is not measured.
- Percentiles are of every 64th call, by the processor's counter. Reading it takes about ${reading.toFixed(0)} ns, which is **not**
  subtracted; where the counter moves in steps, percentiles do too.
- *Waited*: each lock is tried first, and only the wait after a failure is timed. A dash stands where a call takes no
  lock; governor does not show its locks.`;
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

In this mix ${MIXES[mix]}.

${table([...headings('million calls/s by threads'), 'spread'], throughput)}

${table(headings('ns of single calls, p50 / p95 / p99'), rowsBy(percentiles))}

${table(headings('ns waited for locks, per call'), rowsBy(waited))}

${OVER_CORES}${forgotten(ofMix)}`;
  });
}

function integers({ rows }) {
  const ofAll = where(rows, { section: 'integers' });
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
  return `### Integers for keys

One thread and two, where nearly all of a call is the map's. Half of the clients are asked in each load. \`sluice\` hashes
the integer twice with rapidhash, for the two halves of what we keep of a key, and \`SipHash\` once with SipHash-1-3 and
128 bits; the rest as above. The columns *sluice ×* say how many times the throughput of the row \`sluice\` has.

${tables.join('\n\n')}`;
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
once and read 100 times; *get all*, one call for all 1 000 values. Writes of ours copy the table of keys; \`replaceAll\` fills it in
one write. We and the \`RwLock\` hand out a value that stays whole while others write, by counting its holders; Go's
collector spares its readers that.${ofGo}

${table(['ns per call', ...contenders], [...lines, widest])}

${OVER_CORES}`;
}

/** Our table is bounded, and may forget a client who is then admitted anew. */
function forgotten(rows) {
  const most = Math.max(...rows.filter(isOurs).map(({ unlike }) => unlike));
  if (most === 0) return '';
  return `\n\nOurs answered up to ${(100 * most).toPrecision(2)} % of the calls otherwise than an unbounded map, for clients that it had forgotten.`;
}
