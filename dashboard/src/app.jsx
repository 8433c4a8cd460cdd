import { useEffect, useMemo, useState } from 'preact/hooks';
import { TrafficChart } from './chart.jsx';
import { ClientPage } from './client-page.jsx';
import { Bans, Busiest, Offenders } from './clients.jsx';
import { Brokers, Circuits, Connections, Hubs, Limiters, Others, Threads } from './components.jsx';
import { ActionDialog } from './dialogs.jsx';
import { Events } from './events.jsx';
import { count, percent, rate } from './format.js';
import { KIND, latest } from './history.js';
import { useScheme } from './scheme.js';
import { useStream } from './stream.js';

const RATE_S = 10;
const REFUSALS = ['quota', 'ban', 'connections', 'accept', 'concurrency', 'overload'];

export function App() {
  const { status, facts, snapshot, history } = useStream();
  const [scheme, toggleScheme] = useScheme();
  const [client, open] = useState(null);
  const [request, ask] = useState(null);
  const [said, say] = useState({ text: '', changes: 0 });
  useEffect(() => {
    if (facts !== null) document.title = `${facts.title} · sluice`;
  }, [facts]);
  const done = ({ what, client: subject }) => {
    ask(null);
    say(({ changes }) => ({ text: `Done: ${subject ?? ''} ${what}.`, changes: changes + 1 }));
  };
  const context = useMemo(
    () => ({
      open,
      ask,
      canAct: facts?.readOnly === false,
      reputations: snapshot?.reputations.map(({ name }) => name) ?? [],
    }),
    [facts, snapshot],
  );
  return (
    <>
      <Header {...{ status, facts, scheme, toggleScheme, open }} />
      <main>
        {snapshot === null ? (
          <p class="empty">{status === 'lost' ? LOST : 'Connecting…'}</p>
        ) : (
          <Page {...{ snapshot, history, context, scheme }} />
        )}
      </main>
      {client !== null && (
        <ClientPage client={client} context={context} changes={said.changes} onClose={() => open(null)} />
      )}
      {request !== null && <ActionDialog request={request} onDone={done} onClose={() => ask(null)} />}
      <div class={`toast ${said.text === '' ? 'gone' : ''}`} key={said.changes} role="status">
        {said.text}
      </div>
    </>
  );
}

const LOST = 'The server does not answer, or does not let you see this page. Trying again…';

function Header({ status, facts, scheme, toggleScheme, open }) {
  const search = (event) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget).get('key').trim();
    if (key !== '') open({ key });
  };
  const states = { connecting: 'Connecting', live: 'Live', lost: 'Connection lost' };
  return (
    <header>
      <h1>{facts?.title ?? 'sluice'}</h1>
      <span class={`status ${status}`} role="status">
        {states[status]}
      </span>
      {facts?.readOnly && <span class="note">read-only</span>}
      <search>
        <form onSubmit={search}>
          <label>
            <span class="hidden">Find a client by its address or key</span>
            <input type="search" name="key" placeholder="Find a client: address or key" autocomplete="off" />
          </label>
          <button type="submit">Find</button>
        </form>
      </search>
      <button type="button" class="scheme" onClick={toggleScheme}>
        {scheme === 'dark' ? 'Light' : 'Dark'}
        <span class="hidden"> colours</span>
      </button>
    </header>
  );
}

function Page({ snapshot, history, context, scheme }) {
  const { offenders, clients, reputations, limiters, trackers, breakers, at } = snapshot;
  const { brokers, hubs, threads, process, notes } = snapshot;
  return (
    <>
      <Tiles snapshot={snapshot} history={history} />
      <TrafficChart history={history} scheme={scheme} />
      <Offenders offenders={offenders} at={at} context={context} />
      <div class="columns">
        <Busiest clients={clients} context={context} />
        {reputations.length > 0 && <Bans reputations={reputations} context={context} />}
      </div>
      <Limiters limiters={limiters} history={history} context={context} />
      <div class="columns">
        <Connections trackers={trackers} threads={threads} context={context} />
        <Circuits breakers={breakers} context={context} />
        <Brokers brokers={brokers} />
        <Hubs hubs={hubs} />
      </div>
      <div class="columns">
        <Threads threads={threads} process={process} />
        <Others {...snapshot} />
      </div>
      <section class="panel" aria-labelledby="events">
        <div class="panel-head">
          <h2 id="events">Events</h2>
          <span class="note">alerts, bans, circuits, actions</span>
        </div>
        <Events
          notes={[...notes].reverse().slice(0, 50)}
          open={context.open}
          empty="Nothing has happened since the dashboard was started. Alerts, bans, changes of circuits and actions would be listed here."
        />
      </section>
    </>
  );
}

/** The answers to the first questions, in figures. */
function Tiles({ snapshot, history }) {
  const sums = latest(history, RATE_S);
  const refused = REFUSALS.reduce((sum, kind) => sum + sums[KIND[kind]], 0);
  const all = sums[KIND.allowed] + sums[KIND.skipped] + refused;
  const banned = snapshot.reputations.reduce((sum, one) => sum + one.banned + one.ranges, 0);
  const open = snapshot.trackers.reduce((sum, one) => sum + one.count, 0);
  const busiest = Math.max(0, ...snapshot.threads.map(({ utilization }) => utilization));
  const tiles = [
    { name: 'Requests', value: rate(all / RATE_S), note: `last ${RATE_S} s` },
    {
      name: 'Refused',
      value: rate(refused / RATE_S),
      note: percent(refused, all),
      kind: refused > 0 ? 'quota' : '',
    },
    { name: 'Banned now', value: count(banned), note: 'clients and ranges', kind: banned > 0 ? 'ban' : '' },
    { name: 'Connections', value: count(open), note: 'open now' },
    { name: 'Busiest thread', value: `${Math.round(100 * busiest)} %`, note: 'of its event loop' },
  ];
  return (
    <dl class="tiles">
      {tiles.map(({ name, value, note, kind = '' }) => (
        <div key={name} class={`tile ${kind}`}>
          <dt>{name}</dt>
          <dd>
            <b>{value}</b>
            <span class="note">{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}
