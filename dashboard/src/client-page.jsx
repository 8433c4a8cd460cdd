import { useEffect, useState } from 'preact/hooks';
import { Dialog } from './dialogs.jsx';
import { Events } from './events.jsx';
import { count, counted, quota, span, time } from './format.js';
import * as requests from './requests.js';
import { post } from './stream.js';
import { Badge, Share } from './tables.jsx';

const INTERVAL_MS = 2000;

/** All that the server knows of one client. `client` is an id, or `{ key }` that was typed. */
export function ClientPage({ client, context, onClose, changes }) {
  const [report, setReport] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    let isOpen = true;
    const load = async () => {
      try {
        const found = await post('client', { client });
        if (isOpen) setReport(found);
      } catch (failure) {
        if (isOpen) setError(failure.message);
      }
    };
    load();
    const timer = setInterval(load, INTERVAL_MS);
    return () => {
      isOpen = false;
      clearInterval(timer);
    };
  }, [client, changes]);
  const label = report === null ? 'Client' : `Client ${report.client}`;
  return (
    <Dialog label={label} onClose={onClose} wide>
      <div class="client">
        <div class="panel-head">
          <h2>
            <bdi>{report?.client ?? '…'}</bdi>
          </h2>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
        {error !== null && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        {report !== null && <Report report={report} context={context} />}
      </div>
    </Dialog>
  );
}

function Report({ report, context }) {
  const { canAct, ask, reputations } = context;
  const reasons = reasonsOf(report);
  return (
    <>
      <div class={`verdict ${reasons.length > 0 ? 'refused' : 'allowed'}`} role="status">
        {reasons.length === 0 ? (
          <p>
            {report.notAsked.length === 0
              ? 'It is let in: nothing holds it back now.'
              : 'Nothing that is known here holds it back.'}
          </p>
        ) : (
          reasons.map((reason) => <p key={reason}>{reason}</p>)
        )}
        {report.notAsked.length > 0 && (
          <p>
            Whether {report.notAsked.join(', ')} refuses it is not known: the server of its counts did not
            answer.
          </p>
        )}
      </div>
      {canAct && (
        <div class="actions">
          <button type="button" class="primary" onClick={() => ask(requests.admit(report))}>
            Let in
          </button>
          {report.isAddress && reputations.length > 0 && (
            <button type="button" onClick={() => ask(requests.ban(report, reputations))}>
              Ban…
            </button>
          )}
          {report.limiters.length > 0 && (
            <button type="button" onClick={() => ask(requests.block(report, report.limiters))}>
              Block…
            </button>
          )}
        </div>
      )}
      <Quotas report={report} context={context} />
      <Facts report={report} />
      <h3>Timeline</h3>
      <Events
        notes={report.timeline}
        empty="Nothing is recorded of this client. Events of monitors, bans and actions would be listed here."
      />
    </>
  );
}

/** Why the client is refused now, as sentences. */
function reasonsOf({ limiters, verdicts }) {
  const banned = verdicts.filter(({ banned }) => banned);
  const limited = limiters.filter(({ allowed, wouldRefuse }) => !allowed || wouldRefuse);
  return [
    ...banned.map(({ name, rule, reason, retryAfterMs, isForever }) => {
      const why = reason === null ? '' : `, because of ${reason}`;
      if (rule === 'deny') return `Refused: it is on the deny list of “${name}”.`;
      return `Banned in “${name}”${why}, ${isForever ? 'without end' : `for ${span(retryAfterMs)} more`}.`;
    }),
    ...limited.map(({ name, limit, limits, remaining, retryAfterMs, wouldRefuse }) => {
      const verb = wouldRefuse ? 'Would be refused (dry run)' : 'Refused';
      const wait = retryAfterMs === null ? '' : ` It may come again in ${span(retryAfterMs)}.`;
      return `${verb} by the limiter “${name}” (${limits.map(quota).join(', ')}): ${count(remaining)} of ${count(limit)} left.${wait}`;
    }),
  ];
}

/** The limits that the client has used; all of them where it has used none. */
function Quotas({ report, context: { canAct, ask } }) {
  const used = report.limiters.filter(({ allowed, resetAfterMs }) => !allowed || resetAfterMs > 0);
  const listed = used.length > 0 ? used : report.limiters;
  const others = report.limiters.length - listed.length;
  if (listed.length === 0) return null;
  return (
    <>
      <h3>What remains of each limit</h3>
      <ul class="quotas">
        {listed.map((limiter) => {
          const { name, id, limit, remaining, resetAfterMs } = limiter;
          const left = `${count(remaining)} of ${count(limit)} left`;
          const full = resetAfterMs === 0 ? 'full' : `full in ${span(resetAfterMs)}`;
          return (
            <li key={id}>
              <bdi class="by">{name}</bdi>
              <Share part={limit - Math.min(limit, remaining)} whole={limit} text={`${left}, ${full}`} />
              {canAct && used.length > 0 && (
                <button type="button" class="small" onClick={() => ask(requests.reset(report, limiter))}>
                  Reset
                </button>
              )}
            </li>
          );
        })}
      </ul>
      {others > 0 && <p class="note">All of the quota is left in {counted(others, 'other limiter')}.</p>}
    </>
  );
}

function Facts({ report: { connections, verdicts, events, circuits } }) {
  return (
    <dl class="facts">
      {connections.map(({ name, count: open, open: all }) => (
        <Fact key={name} name={`Connections (${name})`}>
          {count(open)}
          {open > 0 && `, the oldest since ${time(all[0].openedAt)}`}
        </Fact>
      ))}
      {verdicts.map(({ name, failures, bans, rule }) => (
        <Fact key={name} name={`Reputation (${name})`}>
          {counted(failures, 'failure')}, {counted(bans, 'earlier ban')}{' '}
          {rule === 'allow' && <Badge kind="allowed">allow list</Badge>}
        </Fact>
      ))}
      {events.map(({ name, counts }) => (
        <Fact key={name} name={`Events (${name})`}>
          {Object.entries(counts).length === 0
            ? 'none'
            : Object.entries(counts)
                .map(([event, number]) => `${event}: ${count(number)}`)
                .join(', ')}
        </Fact>
      ))}
      {circuits.map(({ name, state, failureRate }) => (
        <Fact key={name} name={`Circuit (${name})`}>
          {state}, {Math.round(100 * failureRate)} % failed
        </Fact>
      ))}
    </dl>
  );
}

function Fact({ name, children }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
