'use strict';

const { count, quota, span, time } = require('./format');
const { grouped } = require('./notes');
const { numeric } = require('./sections');

/* What is known of one client. */

/** Why it is refused now, as sentences; none where it is not. */
function reasonsOf({ limiters, verdicts }) {
  return [
    ...verdicts.filter(({ banned }) => banned).map(banSentence),
    ...limiters.filter(({ allowed, wouldRefuse }) => !allowed || wouldRefuse).map(quotaSentence),
  ];
}

/** What is known of a client that nothing is known to hold back. */
function whyLetIn(report) {
  if (report.notAsked.length === 0) return 'It is let in: nothing holds it back now.';
  return `Nothing that is known here holds it back. ${notAsked(report)}`;
}

/** The limiters of which nothing is known, as a sentence. */
function notAsked({ notAsked: names }) {
  const counts = names.length === 1 ? 'counts on a server that' : 'count on servers that';
  const limiters = names.length === 1 ? 'limiter' : 'limiters';
  return `The ${limiters} ${names.join(', ')} ${counts} did not answer: whether it refuses is not known.`;
}

function banSentence({ name, rule, reason, retryAfterMs, isForever }) {
  if (rule === 'deny') return `It is on the deny list of ${name}.`;
  const why = reason === null ? '' : `, because of ${reason}`;
  return `Banned in ${name}${why}, ${isForever ? 'without end' : `for ${span(retryAfterMs)} more`}.`;
}

function quotaSentence({ name, limit, limits, remaining, retryAfterMs, wouldRefuse }) {
  const verb = wouldRefuse ? 'Would be refused (dry run)' : 'Refused';
  const wait = retryAfterMs === null ? '' : ` It may come again in ${span(retryAfterMs)}.`;
  const left = `${count(remaining)} of ${count(limit)} left`;
  return `${verb} by the limiter ${name} (${limits.map(quota).join(', ')}): ${left}.${wait}`;
}

function clientSections(report) {
  return [limitsOf(report), ...componentsOf(report), timelineOf(report)];
}

function limitsOf({ limiters }) {
  return {
    title: 'What remains of each limit',
    columns: [{ head: 'Limiter' }, { head: 'Limit' }, numeric('Left'), { head: 'Full again' }],
    rows: limiters.map(({ name, limits, limit, remaining, resetAfterMs }) => [
      name,
      limits.map(quota).join(', '),
      `${count(remaining)} of ${count(limit)}`,
      resetAfterMs === 0 ? 'now' : `in ${span(resetAfterMs)}`,
    ]),
    empty: 'There is no limiter.',
  };
}

function componentsOf({ connections, verdicts, events, circuits, at }) {
  const rows = [
    ...connections.map(({ name, count: open, open: [oldest] }) => {
      const since = oldest === undefined ? '' : `, the oldest since ${time(oldest.openedAt, at)}`;
      return ['Connections', name, `${count(open)}${since}`];
    }),
    ...verdicts.map(({ name, failures, bans, rule }) => {
      const listed = rule === 'allow' ? ', on the allow list' : '';
      return ['Reputation', name, `${count(failures)} failures, ${count(bans)} earlier bans${listed}`];
    }),
    ...events.map(({ name, counts }) => {
      const each = Object.entries(counts).map(([event, number]) => `${event}: ${count(number)}`);
      return ['Events', name, each.length === 0 ? 'none' : each.join(', ')];
    }),
    ...circuits.map(({ name, state, failureRate }) => {
      return ['Circuit', name, `${state}, ${Math.round(100 * failureRate)} % failed`];
    }),
  ];
  if (rows.length === 0) return [];
  return [
    { title: 'Elsewhere', columns: [{ head: 'Kind' }, { head: 'Name' }, { head: 'Now' }], rows, empty: '' },
  ];
}

function timelineOf({ timeline, at }) {
  return {
    title: 'Timeline',
    columns: [{ head: 'At' }, { head: 'Kind' }, { head: 'What' }],
    rows: grouped(timeline).map(({ at: when, type, sentence }) => [time(when, at), type, sentence]),
    empty: 'Nothing is recorded of this client.',
  };
}

module.exports = { clientSections, notAsked, reasonsOf, whyLetIn };
