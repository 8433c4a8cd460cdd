'use strict';

const { bytes, count, milliseconds, percent, span } = require('./format');
const { numeric, sum } = require('./sections');

/* Sections of the components that fewer servers have. A kind without instances has none: `undefined`. */

function connections({ trackers }) {
  if (trackers.length === 0) return undefined;
  return {
    title: 'Connections',
    columns: [{ head: 'Tracker' }, numeric('Open'), numeric('Refused'), { head: 'Most of them' }],
    rows: trackers.map(({ name, count: open, refused, clients }) => [
      name,
      count(open),
      count(sum(Object.values(refused), (one) => one)),
      clients
        .slice(0, 3)
        .map((one) => `${one.client}: ${count(one.count)}`)
        .join(', '),
    ]),
    empty: '',
  };
}

const STYLES = { open: 'red', halfOpen: 'yellow', isolated: 'red' };

function circuits({ breakers }) {
  if (breakers.length === 0) return undefined;
  const rows = breakers.flatMap(({ name, circuits: all }) => all.map((one) => ({ ...one, name })));
  const isClosed = ({ state }) => Number(state === 'closed');
  return {
    title: 'Circuits',
    columns: [
      { head: 'Target' },
      { head: 'State' },
      numeric('Calls'),
      numeric('Failed'),
      { head: 'Breaker' },
    ],
    rows: rows
      .sort((a, b) => isClosed(a) - isClosed(b))
      .map(({ target, state, calls, failures, name }) => [
        target,
        { text: state, style: STYLES[state] },
        count(calls),
        percent(failures, calls),
        name,
      ]),
    empty: 'No target was called.',
  };
}

function brokers({ brokers: all }) {
  if (all.length === 0) return undefined;
  return {
    title: 'Brokers',
    columns: [
      { head: 'Peer' },
      { head: 'Broker' },
      numeric('Thread'),
      numeric('Inbox'),
      numeric('In flight'),
    ],
    rows: all.flatMap(({ name, inbox, peers }) =>
      peers.map(({ id, threadId, waiting, inFlight }) => [
        id,
        name,
        threadId,
        `${count(waiting)} of ${count(inbox)}`,
        count(inFlight),
      ]),
    ),
    empty: 'No peer has joined.',
  };
}

function hubs({ hubs: all }) {
  if (all.length === 0) return undefined;
  return {
    title: 'Hubs',
    columns: [{ head: 'Hub' }, numeric('Hit rate'), numeric('Values'), numeric('Size'), numeric('Failed')],
    rows: all.map(({ name, hits, stale, misses, entries, bytes: size, failures, timeouts }) => [
      name,
      percent(hits + stale, hits + stale + misses),
      count(entries),
      bytes(size),
      count(failures + timeouts),
    ]),
    empty: '',
  };
}

function others({ lifecycles, monitors, registries, counters, semaphores, shedders }) {
  const rows = [
    ...lifecycles.map(({ name, state, members }) => {
      const tasks = sum(members, (one) => one.tasks);
      return ['Lifecycle', name, `${state}, ${members.length} threads, ${count(tasks)} tasks`];
    }),
    ...monitors.map(({ name, recorded, alerts }) => {
      return ['Monitor', name, `${count(recorded)} events, ${count(alerts)} alerts`];
    }),
    ...registries.map(({ name, size, version }) => [
      'Registry',
      name,
      `${count(size)} ${size === 1 ? 'key' : 'keys'}, version ${version}`,
    ]),
    ...counters.map(({ name, size, capacity }) => [
      'Hit counter',
      name,
      `${count(size)} of ${count(capacity)} keys`,
    ]),
    ...semaphores.map(({ name, permits, held, waiting, keys }) => {
      const of =
        keys > 1
          ? `${count(held)} permits of ${count(keys)} keys`
          : `${count(held)} of ${count(permits)} permits`;
      return ['Semaphore', name, `${of} held, ${count(waiting)} waiting`];
    }),
    ...shedders.map(({ name, shed, threads: all, behind, delayMs }) => {
      const refused = sum(Object.values(shed), (one) => one);
      return [
        'Load shedder',
        name,
        `${behind} of ${all} threads behind, laps of ${delayMs} ms, ${count(refused)} requests shed`,
      ];
    }),
  ];
  if (rows.length === 0) return undefined;
  return {
    title: 'Other components',
    columns: [{ head: 'Kind' }, { head: 'Name' }, { head: 'Now' }],
    rows,
    empty: '',
  };
}

/** Threads that called `inspect()` or made a dashboard. */
function threads({ threads: all }) {
  return {
    title: 'Threads',
    columns: [
      { head: 'Thread' },
      numeric('Busy'),
      numeric('Delay, mean'),
      numeric('99 %'),
      numeric('Longest'),
      numeric('Heap'),
    ],
    rows: all.map(({ threadId, utilization, meanDelayMs, p99DelayMs, maxDelayMs, heapBytes }) => [
      threadId === 0 ? 'main' : threadId,
      { text: `${Math.round(100 * utilization)} %`, style: utilization > 0.9 ? 'red' : undefined },
      milliseconds(meanDelayMs),
      milliseconds(p99DelayMs),
      milliseconds(maxDelayMs),
      bytes(heapBytes),
    ]),
    empty: 'No thread has reported yet.',
  };
}

/** Processes that can be inspected. */
function processes(all) {
  return {
    title: 'Processes that can be inspected',
    columns: [numeric('Process'), { head: 'Title' }, { head: 'Up' }, numeric('Threads'), { head: 'Actions' }],
    rows: all.map(({ pid, title, uptimeS, threads: number, actions }) =>
      title === undefined
        ? [pid, { text: 'does not answer', style: 'red' }, '-', '-', '-']
        : [pid, title, span(1000 * uptimeS), number, actions ? 'allowed' : 'off'],
    ),
    empty: '',
  };
}

module.exports = { brokers, circuits, connections, hubs, others, processes, threads };
