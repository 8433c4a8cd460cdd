// The results as charts: data for `lines` and `bars` of plots.mjs.
import { cores } from '../machine.mjs';
import { median } from '../statistics.mjs';
import { clientsOf, distinct, isSluice, nsPerCall, only, where } from './rows.mjs';

export function engineCharts(results) {
  return [...throughput(results), latency(results), registry(results), security(results)];
}

function throughput({ rows, settings: { threads } }) {
  const ofAll = where(rows, { section: 'contention' });
  return distinct(ofAll, 'load').map((mix) => ({
    file: `engine-${mix.replaceAll(/[^a-z]+/g, '-')}`,
    kind: 'lines',
    title: `A limit per client: ${mix}`,
    unit: 'calls per second of all threads together, more is better',
    x: { name: 'threads', values: threads },
    series: seriesOf(where(ofAll, { load: mix }), (contender) =>
      threads.map((count) => median(only(ofAll, { load: mix, contender, threads: count }).callsPerSecond)),
    ),
    ...(threads.at(-1) > cores && {
      shadedFrom: threads.findLast((count) => count <= cores),
      shade: 'more threads than cores',
    }),
  }));
}

function latency({ rows, settings: { threads } }) {
  const count = threads.findLast((count) => count <= cores);
  const ofMix = where(rows, { section: 'contention', load: 'read-heavy', threads: count });
  return {
    file: 'engine-latency',
    kind: 'bars',
    title: `A limit per client: single calls, read-heavy, threads: ${count}`,
    unit: 'ns, with the reading of the counter, less is better; logarithmic',
    log: true,
    groups: ofMix.map(({ contender }) => contender),
    series: ['p50', 'p95', 'p99'].map((share) => ({
      name: share,
      values: ofMix.map((row) => median(row[share])),
    })),
  };
}

function registry({ rows, settings: { threads } }) {
  const ofAll = where(rows, { section: 'registry' });
  const count = threads.findLast((count) => count <= cores);
  const cases = [
    [`concurrent reads, threads: ${count}`, { load: 'concurrent reads', threads: count }, 1],
    ['sequential reads', { load: 'sequential reads' }, 1],
    ['write once, read many', { load: 'write once, read many' }, 1],
    ['get all, per value', { load: 'get all' }, 1_000],
  ];
  return {
    file: 'engine-registry',
    kind: 'bars',
    title: 'Registry of 1 000 keys',
    unit: 'ns per call of all threads together, less is better',
    groups: cases.map(([name]) => name),
    series: seriesOf(ofAll, (contender) =>
      cases.map(([, fields, values]) => {
        const row = only(ofAll, { contender, ...fields });
        return row === undefined ? null : nsPerCall(row) / values;
      }),
    ),
  };
}

function security({ rows, settings: { threads } }) {
  const count = threads.findLast((count) => count <= cores);
  const ofAll = where(rows, { section: 'security', threads: count });
  const cases = distinct(ofAll, 'load').flatMap((load) =>
    distinct(ofAll, 'keys').map((keys) => ({ load, keys })),
  );
  return {
    file: 'engine-security',
    kind: 'bars',
    title: `What protects a server, threads: ${count}`,
    unit: 'ns per call of all threads together, less is better',
    groups: cases.map(({ load, keys }) => `${load}, ${clientsOf(keys)}`),
    series: seriesOf(ofAll, (contender) =>
      cases.map((fields) => nsPerCall(only(ofAll, { contender, ...fields }))),
    ),
  };
}

function seriesOf(rows, valuesOf) {
  return distinct(rows, 'contender').map((contender) => ({
    name: contender,
    highlighted: isSluice({ contender }),
    values: valuesOf(contender),
  }));
}
