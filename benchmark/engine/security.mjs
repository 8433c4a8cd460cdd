// Connections, bans, events and circuits compared with maps behind a lock, as Markdown.
import { table } from '../table.mjs';
import { millions, percentiles, spreadOf, waited } from './cells.mjs';
import { clientsOf, distinct, OVER_CORES, only, threadsHeading, times, where } from './rows.mjs';

const PLAIN = 'RwLock<HashMap>';
const WHAT = {
  'connection opened and closed':
    'A call opens and closes. The plain form has one lock for connections by number and counts by client.',
  isBanned: 'Every second one of the 10 000 clients is banned; the single client is not.',
  recordFailure: 'Each eighth call clears the failures of its client, so that none is banned.',
  'event recorded':
    'Two rules evaluate each event, of 5 events and of 5 different details; the client has met both before.\n' +
    'The plain form takes three locks at once: for counts by event, clients, and the history.',
  'permit and success':
    'A closed circuit admits a call, whose success is reported. The plain form reads under the shared lock and\n' +
    'counts under the exclusive one.',
};

export function security({ rows, settings: { threads } }) {
  const ofAll = where(rows, { section: 'security' });
  const sections = distinct(ofAll, 'load').map((load) => section(where(ofAll, { load }), load, threads));
  return [INTRODUCTION, ...sections];
}

const INTRODUCTION = `### What protects a server

Connections, bans, events and circuits, compared with the usual plain form: an \`${PLAIN}\` of the state per client. Both get
the same address as text, or the same target, the same calls, and must give the same answers. The plain forms hash with
rapidhash, as above; sluice with SipHash. The plain forms have no lists, ids or statistics, and evict nothing. Time is fixed.
*sluice ×* is the throughput of sluice divided by that of the plain form.`;

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
  const gains = linesOf(plain, (rival) => times(only(rows, sluiceBeside(rival)), rival).toFixed(2));
  const ratios = gains.map(([, ...rest]) => ['sluice ×', ...rest, '']);
  return `#### ${load}

${WHAT[load]}

${table([...headings('million calls/s by threads'), 'spread'], [...throughput, ...ratios])}

${table(headings('ns of single calls, p50 / p95 / p99'), linesOf(cases, percentiles))}

${table(headings('ns waited for locks, per call'), linesOf(cases, waited))}

${OVER_CORES}`;
}

function sluiceBeside({ keys, threads }) {
  return { contender: 'sluice', keys, threads };
}
