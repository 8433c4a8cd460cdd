import { Bars } from './chart.jsx';
import { count, span, time } from './format.js';
import * as requests from './requests.js';
import { Badge, Table } from './tables.jsx';

export const REASONS = {
  quota: ['quota', 'over quota'],
  ban: ['ban', 'banned'],
  accept: ['ban', 'banned, at accept'],
  connections: ['connections', 'too many connections'],
  concurrency: ['connections', 'too many in progress'],
  overload: ['ban', 'overload'],
  dryRun: ['dry', 'dry run'],
};

/** A client's name, which opens its page where its key is known as a whole. */
export function Client({ client, id, open }) {
  if (id === undefined) return <bdi>{client}</bdi>;
  return (
    <button type="button" class="link" onClick={() => open(id)}>
      <bdi>{client}</bdi>
    </button>
  );
}

const last = (minutes) => minutes.reduce((sum, value) => sum + value, 0);
const about = (value, error) => (error > 0 ? `≤ ${count(value)}` : count(value));
const keyOf = ({ client, id, source, reason }) => `${id ?? client} ${source} ${reason}`;

/** The clients that were refused most, and why. */
export function Offenders({ offenders, at, context }) {
  const { open, ask, canAct } = context;
  const columns = [
    { head: 'Client', cell: (row) => <Client {...row} open={open} /> },
    {
      head: 'Why',
      cell: ({ reason, source }) => (
        <>
          <Badge kind={REASONS[reason][0]}>{REASONS[reason][1]}</Badge> <bdi class="by">{source}</bdi>
        </>
      ),
    },
    { head: 'Refused', number: true, cell: ({ minutes, error }) => about(last(minutes), error) },
    {
      head: 'Last 10 min',
      cell: ({ minutes, reason }) => <Bars minutes={minutes} kind={REASONS[reason][0]} />,
    },
    { head: 'Since', cell: ({ since }) => <time title={time(since)}>{span(at - since)} ago</time> },
    {
      head: 'Actions',
      cell: (row) =>
        canAct &&
        row.id !== undefined && (
          <button type="button" class="small" onClick={() => ask(requests.admit(row))}>
            Let in
          </button>
        ),
    },
  ];
  return (
    <Table
      id="offenders"
      title="Refused most"
      note="last 10 minutes"
      rows={offenders}
      columns={columns}
      keyOf={keyOf}
      empty="No client was refused in the last 10 minutes. Clients that are would be listed here, with the reason."
    />
  );
}

/** The clients with most requests. */
export function Busiest({ clients, context: { open } }) {
  const columns = [
    { head: 'Client', cell: (row) => <Client {...row} open={open} /> },
    { head: 'Limiter', cell: ({ source }) => <bdi class="by">{source}</bdi> },
    { head: 'Requests', number: true, cell: ({ minutes, error }) => about(last(minutes), error) },
    { head: 'Refused', number: true, cell: ({ refused }) => count(refused) },
    { head: 'Last 10 min', cell: ({ minutes }) => <Bars minutes={minutes} kind="allowed" /> },
  ];
  return (
    <Table
      id="busiest"
      title="Busiest clients"
      note="last 10 minutes"
      rows={clients}
      columns={columns}
      keyOf={keyOf}
      empty="No requests in the last 10 minutes. The clients with most of them would be listed here."
    />
  );
}

/** Clients and ranges that are banned. */
export function Bans({ reputations, context: { open, ask, canAct } }) {
  const rows = reputations.flatMap(({ name, bans }) => bans.map((one) => ({ ...one, reputation: name })));
  const leftOut = reputations.reduce((sum, { bansLeftOut }) => sum + bansLeftOut, 0);
  const columns = [
    { head: 'Client', cell: (row) => <Client {...row} open={open} /> },
    { head: 'Reason', cell: ({ reason }) => <bdi>{reason ?? '—'}</bdi> },
    { head: 'In', cell: ({ reputation }) => <bdi class="by">{reputation}</bdi> },
    {
      head: 'Ends in',
      number: true,
      cell: ({ until, retryAfterMs }) =>
        until === null ? 'never' : <time title={time(until)}>{span(retryAfterMs)}</time>,
    },
    {
      head: 'Actions',
      cell: (row) =>
        canAct && (
          <button type="button" class="small" onClick={() => ask(requests.unban(row, row.reputation))}>
            Unban
          </button>
        ),
    },
  ];
  const names = reputations.map(({ name }) => name);
  return (
    <Table
      id="bans"
      title="Bans"
      note={leftOut > 0 ? `${count(leftOut)} more` : undefined}
      rows={rows}
      columns={columns}
      keyOf={({ id, reputation }) => `${id} ${reputation}`}
      empty="No client is banned. Bans would be listed here with their reason and the time they have left."
      action={
        canAct && (
          <button type="button" class="small" onClick={() => ask(requests.banTyped(names))}>
            Ban an address…
          </button>
        )
      }
    />
  );
}
