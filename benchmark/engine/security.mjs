// What protects a server, beside maps behind a lock, as Markdown.
import { table } from '../table.mjs';
import { millions, percentiles, spreadOf, waited } from './cells.mjs';
import { clientsOf, distinct, OVER_CORES, only, threadsHeading, times, where } from './rows.mjs';

const PLAIN = 'RwLock<HashMap>';
const WHAT = {
  'connection opened and closed':
    'A call is both. The plain form has one lock for connections by number and counts by client.',
  isBanned: 'Every second of the 10 000 clients is banned; the only one is not.',
  recordFailure: 'Each eighth call forgives what its client did, so that nobody gets banned.',
  'event recorded':
    'Each event is judged by two rules, of 5 events and of 5 different details, which the client has met before.\n' +
    'The plain form takes three locks at once: of counts by event, of clients, and of the history.',
  'permit and success':
    'A call through a closed circuit is let pass, and its success reported. The plain form looks under the shared\n' +
    'lock, and counts under the other.',
};

export function security({ rows, settings: { threads } }) {
  const ofAll = where(rows, { section: 'security' });
  const sections = distinct(ofAll, 'load').map((load) => section(where(ofAll, { load }), load, threads));
  return [INTRODUCTION, ...sections];
}

const INTRODUCTION = `### What protects a server

Connections, bans, events and circuits beside the form that such code usually has, \`${PLAIN}\` of what is known of a
client. Both are given the same address as text, or the same name of a peer, are asked the same, and must give
the same answer. Theirs hash with rapidhash, as above; ours with SipHash. Theirs know no lists, ids or statistics, and
never forget anybody. Time stands still. *sluice ×* says how many times the throughput of the plain form ours has.`;

function section(rows, load, threads) {
  const cases = distinct(rows, 'keys').flatMap((keys) =>
    distinct(rows, 'contender').map((contender) => ({ keys, contender })),
  );
  const linesOf = (some, cell) =>
    some.map((fields) => [
      fields.contender,
      clientsOf(fields.keys),
      ...threads.map((count) => cell(only(rows, { ...fields, threads: count }))),
    ]);
  const headings = (first) => [first, 'load', ...threads.map(threadsHeading)];
  const throughput = linesOf(cases, millions).map((line, at) => [...line, spreadOf(where(rows, cases[at]))]);
  const plain = cases.filter(({ contender }) => contender === PLAIN);
  const gains = linesOf(plain, (theirs) => times(only(rows, oursBeside(theirs)), theirs).toFixed(2));
  const ratios = gains.map(([, ...rest]) => ['sluice ×', ...rest, '']);
  return `#### ${load}

${WHAT[load]}

${table([...headings('million calls/s by threads'), 'spread'], [...throughput, ...ratios])}

${table(headings('ns of single calls, p50 / p95 / p99'), linesOf(cases, percentiles))}

${table(headings('ns waited for locks, per call'), linesOf(cases, waited))}

${OVER_CORES}`;
}

function oursBeside({ keys, threads }) {
  return { contender: 'sluice', keys, threads };
}
