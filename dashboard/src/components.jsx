// The components of the process, each kind in a table. A kind without instances is left out.

import { Client } from './clients.jsx';
import { bytes, count, milliseconds, percent, quota, rate, span } from './format.js';
import { limiterRates } from './history.js';
import * as requests from './requests.js';
import { Badge, Share, Table } from './tables.jsx';

const RATE_S = 10;
const byName = ({ name }) => name;
const nameColumn = (head) => ({ head, cell: ({ name }) => <bdi class="by">{name}</bdi> });
const number = (head, cell) => ({ head, number: true, cell });

export function Limiters({ limiters, history, context: { ask, canAct } }) {
  const rates = ({ name }) => limiterRates(history, name, RATE_S);
  const columns = [
    nameColumn('Limiter'),
    {
      head: 'Limit',
      cell: ({ limits, dryRun, processes }) => (
        <>
          {limits.map(quota).join(', ')} {dryRun && <Badge kind="dry">dry run</Badge>}
          {processes !== undefined && (
            <Badge kind="skipped">{processes === 1 ? '1 process' : `${processes} processes`}</Badge>
          )}
        </>
      ),
    },
    number('Allowed', (row) => rate(rates(row)[0])),
    number('Refused', (row) => rate(rates(row)[1] + rates(row)[2])),
    {
      head: 'Clients',
      cell: ({ size, capacity, blocked }) => (
        <Share
          part={size}
          whole={capacity}
          text={`${count(size)} of ${count(capacity)}${blocked > 0 ? `, ${count(blocked)} blocked` : ''}`}
        />
      ),
    },
    number('Evicted', ({ liveEvictions, untracked }) => (
      <span title="Clients evicted before they were replenished, and calls for keys that found no room">
        {count(liveEvictions)}
        {untracked > 0 && ` + ${count(untracked)}`}
      </span>
    )),
    {
      head: 'Actions',
      cell: (row) =>
        canAct && (
          <span class="buttons">
            <button type="button" class="small" onClick={() => ask(requests.reconfigure(row))}>
              Change…
            </button>
            <button type="button" class="small" onClick={() => ask(requests.dryRun(row))}>
              {row.dryRun ? 'Refuse again' : 'Dry run…'}
            </button>
          </span>
        ),
    },
  ];
  return (
    <Table
      id="limiters"
      title="Limits"
      note={`rates of the last ${RATE_S} s`}
      rows={limiters}
      columns={columns}
      keyOf={({ id }) => id}
      empty="There is no limiter yet. Each would be listed here with its limit, its rates and how full its table is."
    />
  );
}

export function Connections({ trackers, threads, context: { open } }) {
  if (trackers.length === 0) return null;
  const rows = trackers.flatMap(({ name, clients }) => clients.map((one) => ({ ...one, tracker: name })));
  const columns = [
    { head: 'Client', cell: (row) => <Client {...row} open={open} /> },
    { head: 'Tracker', cell: ({ tracker }) => <bdi class="by">{tracker}</bdi> },
    number('Open', ({ count: open }) => count(open)),
  ];
  const all = trackers.reduce((sum, tracker) => sum + tracker.count, 0);
  const refused = trackers.reduce(
    (sum, tracker) => sum + Object.values(tracker.refused).reduce((a, b) => a + b, 0),
    0,
  );
  const perThread = trackers.flatMap(({ perThread }) => Object.entries(perThread));
  const spread = threads
    .map(({ threadId }) => {
      const open = perThread.filter(([id]) => Number(id) === threadId).reduce((sum, [, n]) => sum + n, 0);
      return `thread ${threadId}: ${count(open)}`;
    })
    .join(', ');
  return (
    <Table
      id="connections"
      title={`Connections: ${count(all)}`}
      note={`${count(refused)} refused so far; ${spread}`}
      rows={rows}
      columns={columns}
      keyOf={({ id, tracker }) => `${id} ${tracker}`}
      empty="No connection is open. The clients with most of them would be listed here."
    />
  );
}

const STATES = {
  closed: ['allowed', 'closed'],
  open: ['ban', 'open'],
  halfOpen: ['quota', 'half-open'],
  isolated: ['connections', 'isolated'],
  disabled: ['skipped', 'disabled'],
};

export function Circuits({ breakers, context: { ask, canAct } }) {
  if (breakers.length === 0) return null;
  const rows = breakers.flatMap(({ name, circuits }) => circuits.map((one) => ({ ...one, breaker: name })));
  const columns = [
    { head: 'Target', cell: ({ target }) => <bdi class="subject">{target}</bdi> },
    { head: 'State', cell: ({ state }) => <Badge kind={STATES[state][0]}>{STATES[state][1]}</Badge> },
    number('Failed', ({ failures, calls }) => `${percent(failures, calls)} of ${count(calls)}`),
    number('Slow', ({ slowCallRate }) => `${Math.round(100 * slowCallRate)} %`),
    number('Tried again', ({ retryAfterMs }) => (retryAfterMs === null ? '—' : `in ${span(retryAfterMs)}`)),
    { head: 'Breaker', cell: ({ breaker }) => <bdi class="by">{breaker}</bdi> },
    {
      head: 'Actions',
      cell: (row) =>
        canAct && (
          <span class="buttons">
            {row.state !== 'isolated' && (
              <button type="button" class="small" onClick={() => ask(requests.isolate(row, row.breaker))}>
                Isolate…
              </button>
            )}
            {row.state !== 'closed' && (
              <button
                type="button"
                class="small"
                onClick={() => ask(requests.closeCircuit(row, row.breaker))}
              >
                Reset
              </button>
            )}
          </span>
        ),
    },
  ];
  const others = breakers.reduce((sum, { circuitsLeftOut }) => sum + circuitsLeftOut, 0);
  return (
    <Table
      id="circuits"
      title="Circuits"
      note={others > 0 ? `and ${count(others)} others, closed or with fewer failures` : undefined}
      rows={rows}
      columns={columns}
      keyOf={({ id }) => id}
      empty="No target was called yet. Each would be listed here with the state of its circuit and its rates."
    />
  );
}

export function Brokers({ brokers }) {
  if (brokers.length === 0) return null;
  const rows = brokers.flatMap(({ name, inbox, peers }) =>
    peers.map((peer) => ({ ...peer, broker: name, inbox })),
  );
  const columns = [
    { head: 'Peer', cell: ({ id }) => <bdi class="subject">{id}</bdi> },
    { head: 'Broker', cell: ({ broker }) => <bdi class="by">{broker}</bdi> },
    number('Thread', ({ threadId }) => threadId),
    {
      head: 'Inbox',
      cell: ({ waiting, inbox }) => (
        <Share part={waiting} whole={inbox} text={`${count(waiting)} of ${count(inbox)}`} />
      ),
    },
    number('In flight', ({ inFlight }) => count(inFlight)),
    number('Answers within', ({ answers }) => (
      <span title="Half of the answers of the last minute, and 99 %">
        {answers === null ? '—' : `${milliseconds(answers.p50Ms)}, ${milliseconds(answers.p99Ms)}`}
      </span>
    )),
  ];
  return (
    <Table
      id="brokers"
      title="Brokers"
      rows={rows}
      columns={columns}
      keyOf={({ broker, number: peer }) => `${broker} ${peer}`}
      empty="No peer has joined. Each would be listed here with its inbox and the requests in flight."
    />
  );
}

export function Hubs({ hubs }) {
  if (hubs.length === 0) return null;
  const columns = [
    nameColumn('Hub'),
    number('Hit rate', ({ hits, stale, misses }) => percent(hits + stale, hits + stale + misses)),
    number('Stale', ({ stale }) => count(stale)),
    number('Initialised', ({ initialisations }) => count(initialisations)),
    number('Failed', ({ failures, timeouts }) => count(failures + timeouts)),
    number('Values', ({ entries }) => count(entries)),
    number('Size', ({ bytes: size }) => bytes(size)),
  ];
  return <Table id="hubs" title="Hubs" rows={hubs} columns={columns} keyOf={byName} />;
}

export function Others({ registries, counters, semaphores, lifecycles, monitors, shedders }) {
  const rows = [
    ...lifecycles.map(({ name, state, members }) => {
      const connections = members.reduce((sum, member) => sum + member.connections, 0);
      const tasks = members.reduce((sum, member) => sum + member.tasks, 0);
      const text = `${state}: ${members.length} threads, ${count(connections)} connections, ${count(tasks)} tasks`;
      return { kind: 'Lifecycle', name, text };
    }),
    ...monitors.map(({ name, recorded, alerts, clients }) => {
      const text = `${count(recorded)} events of ${count(clients)} clients, ${count(alerts)} alerts`;
      return { kind: 'Monitor', name, text };
    }),
    ...shedders.map(({ name, shed, threads, behind, delayMs }) => {
      const all = Object.values(shed).reduce((sum, one) => sum + one, 0);
      const text = `${behind} of ${threads} threads behind, laps of ${delayMs} ms, ${count(all)} requests shed`;
      return { kind: 'Load shedder', name, text };
    }),
    ...registries.map(({ name, size, version }) => {
      return { kind: 'Registry', name, text: `${count(size)} keys, version ${count(version)}` };
    }),
    ...counters.map(({ name, size, capacity, liveEvictions }) => {
      const text = `${count(size)} of ${count(capacity)} keys, ${count(liveEvictions)} evicted`;
      return { kind: 'Hit counter', name, text };
    }),
    ...semaphores.map(({ name, permits, held, waiting, keys }) => {
      const of =
        keys > 1
          ? `${count(held)} permits of ${count(keys)} keys`
          : `${count(held)} of ${count(permits)} permits`;
      return { kind: 'Semaphore', name, text: `${of} held, ${count(waiting)} waiting` };
    }),
  ];
  if (rows.length === 0) return null;
  const columns = [
    { head: 'Kind', cell: ({ kind }) => kind },
    nameColumn('Name'),
    { head: 'Now', cell: ({ text }) => text },
  ];
  return (
    <Table
      id="others"
      title="Other components"
      rows={rows}
      columns={columns}
      keyOf={({ kind, name }) => `${kind} ${name}`}
    />
  );
}

export function Threads({ threads, process }) {
  const columns = [
    { head: 'Thread', cell: ({ threadId }) => (threadId === 0 ? 'main' : threadId) },
    {
      head: 'Busy',
      cell: ({ utilization }) => (
        <Share part={utilization} whole={1} text={`${Math.round(100 * utilization)} %`} />
      ),
    },
    number('Delay, mean', ({ meanDelayMs }) => milliseconds(meanDelayMs)),
    number('99 %', ({ p99DelayMs }) => milliseconds(p99DelayMs)),
    number('Longest', ({ maxDelayMs }) => milliseconds(maxDelayMs)),
    number('Heap', ({ heapBytes }) => bytes(heapBytes)),
  ];
  return (
    <Table
      id="threads"
      title="Threads"
      note={`process ${process.pid}, Node.js ${process.node}, ${bytes(process.rss)}, up ${span(1000 * process.uptimeS)}`}
      rows={threads}
      columns={columns}
      keyOf={({ threadId }) => threadId}
      empty="No thread has reported yet. Threads that made a dashboard are listed here with the delay of their event loop."
    />
  );
}
