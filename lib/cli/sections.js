'use strict';

const { count, percent, quota, rate, span, time } = require('./format');
const { grouped } = require('./notes');
const { guardRates, limiterRates } = require('./rates');

/*
 * What a snapshot shows, as sections for `sectionLines`. First what an operator asks first: which clients are refused, why,
 * and since when.
 */

const REASONS = {
  quota: 'over quota',
  ban: 'banned',
  accept: 'banned, at accept',
  connections: 'too many connections',
  concurrency: 'too many in progress',
  overload: 'overload',
  dryRun: 'dry run',
};

/** The line above all sections. */
function headline({ title, process: of, threads, readOnly }) {
  const facts = [
    `process ${of.pid}`,
    `up ${span(1000 * of.uptimeS)}`,
    `${threads.length} ${threads.length === 1 ? 'thread' : 'threads'}`,
    `${Math.round(of.rss / 1e6)} MB`,
    `Node.js ${of.node}`,
    readOnly ? 'read-only' : 'actions allowed',
  ];
  return { title, facts: facts.join(', ') };
}

/** Requests per second of each guard; of each limiter where there is no guard. */
function requests(snapshot) {
  const guards = guardRates(snapshot);
  const limiters = [...limiterRates(snapshot).values()];
  const rates =
    guards.length > 0 ? guards : limiters.map(({ refused, ...one }) => ({ ...one, quota: refused }));
  const seconds = Math.max(0, ...rates.map((one) => one.seconds));
  const columns = [
    'Allowed',
    'Over quota',
    'Banned',
    'Connections',
    'Busy',
    'Overload',
    'Dry run',
    'Skipped',
  ];
  return {
    title: 'Requests per second',
    note: `mean of the last ${seconds} s`,
    columns: [{ head: guards.length > 0 ? 'Guard' : 'Limiter' }, ...columns.map(numeric)],
    rows: rates.map(requestsRow),
    empty: 'There is no guard and no limiter.',
  };
}

/** A limiter has no rates but those of its quota. */
function requestsRow({ name, allowed, quota: over, dryRun, skipped = 0, ...others }) {
  const { ban = 0, accept = 0, connections = 0, concurrency = 0, overload = 0 } = others;
  const refusedBy = [over, ban + accept, connections, concurrency, overload];
  return [name, rate(allowed), ...refusedBy.map(refusals), rate(dryRun), rate(skipped)];
}

function refused({ offenders, at }) {
  return {
    title: 'Refused most',
    note: 'last 10 minutes',
    columns: [{ head: 'Client' }, numeric('Refused'), { head: 'Why' }, { head: 'In' }, { head: 'Since' }],
    rows: offenders.map(({ client, minutes, error, reason, source, since }) => [
      client,
      about(minutes, error),
      { text: REASONS[reason] ?? reason, style: reason === 'dryRun' ? 'yellow' : 'red' },
      source,
      `${time(since, at)}, ${span(at - since)} ago`,
    ]),
    empty: 'No client was refused.',
  };
}

function bans({ reputations, at }) {
  const rows = reputations.flatMap(({ name, bans: all }) => all.map((one) => ({ ...one, name })));
  return {
    title: 'Bans',
    columns: [{ head: 'Client' }, { head: 'Reason' }, { head: 'In' }, { head: 'Ends' }],
    rows: rows.map(({ client, reason, name, until, retryAfterMs }) => [
      client,
      reason ?? '-',
      name,
      until === null ? 'never' : `${time(until, at)}, in ${span(retryAfterMs)}`,
    ]),
    leftOut: sum(reputations, ({ bansLeftOut }) => bansLeftOut),
    empty: reputations.length === 0 ? 'There is no reputation: bans are off.' : 'No client is banned.',
  };
}

function busiest({ clients }) {
  return {
    title: 'Busiest clients',
    note: 'last 10 minutes',
    columns: [{ head: 'Client' }, numeric('Requests'), numeric('Refused'), { head: 'Limiter' }],
    rows: clients.map(({ client, minutes, error, refused: over, source }) => [
      client,
      about(minutes, error),
      count(over),
      source,
    ]),
    empty: 'No limiter was asked.',
  };
}

function limits(snapshot) {
  const rates = limiterRates(snapshot);
  return {
    title: 'Limits',
    columns: [
      { head: 'Limiter' },
      { head: 'Limit' },
      numeric('Allowed/s'),
      numeric('Refused/s'),
      numeric('Clients'),
      numeric('Full'),
      numeric('Blocked'),
    ],
    rows: snapshot.limiters.map(({ name, limits: all, dryRun, size, capacity, blocked, processes }) => {
      const { allowed = 0, refused: over = 0, dryRun: dry = 0 } = rates.get(name) ?? {};
      return [
        name,
        `${all.map(quota).join(', ')}${dryRun ? ' (dry run)' : ''}${sharedBy(processes)}`,
        rate(allowed),
        refusals(over + dry),
        count(size),
        percent(size, capacity),
        count(blocked),
      ];
    }),
    empty: 'There is no limiter.',
  };
}

/** Of a limiter of the machine: its counts are those of all of its processes. */
function sharedBy(processes) {
  if (processes === undefined) return '';
  return ` (${processes} ${processes === 1 ? 'process' : 'processes'})`;
}

function events({ notes, at }) {
  return {
    title: 'Events',
    note: 'the newest first',
    columns: [{ head: 'At' }, { head: 'Kind' }, { head: 'Client' }, { head: 'What' }],
    rows: grouped(notes.toReversed()).map(({ at: when, type, client, sentence }) => [
      time(when, at),
      type,
      client ?? '-',
      sentence,
    ]),
    empty: 'Nothing has happened.',
  };
}

function numeric(head) {
  return { head, isRight: true };
}

function refusals(perSecond) {
  return { text: rate(perSecond), style: perSecond > 0 ? 'red' : undefined };
}

/** A count of a ranking, which may be too high where there are very many clients. */
function about(minutes, error) {
  return `${error > 0 ? '≤ ' : ''}${count(minutes.reduce((all, one) => all + one, 0))}`;
}

function sum(all, of) {
  return all.reduce((total, one) => total + of(one), 0);
}

module.exports = { bans, busiest, events, headline, limits, numeric, refused, requests, sum };
