import { count, time } from './format.js';
import { Badge } from './tables.jsx';

const KINDS = {
  alert: 'quota',
  ban: 'ban',
  unban: 'allowed',
  expire: 'skipped',
  circuit: 'connections',
  action: 'dry',
  event: 'skipped',
};

/** What happened, the newest first. All that clients control is text. */
export function Events({ notes, empty, open }) {
  if (notes.length === 0) return <p class="empty">{empty}</p>;
  return (
    <ol class="events">
      {notes.map((note) => (
        <li key={note.number ?? `${note.at} ${note.event} ${note.detail}`}>
          <time dateTime={new Date(note.at).toISOString()}>{time(note.at)}</time>
          <Badge kind={KINDS[note.type] ?? 'skipped'}>{note.type}</Badge>
          <span class="what">
            {note.client !== undefined && <Subject note={note} open={open} />} <bdi>{sentence(note)}</bdi>
          </span>
        </li>
      ))}
    </ol>
  );
}

function Subject({ note: { client, id }, open }) {
  if (open === undefined || id === undefined) return <bdi class="subject">{client}</bdi>;
  return (
    <button type="button" class="link" onClick={() => open(id)}>
      <bdi>{client}</bdi>
    </button>
  );
}

function sentence(note) {
  switch (note.type) {
    case 'alert':
      return `${note.rule}: ${count(note.count)} × ${note.event}${detailOf(note)}`;
    case 'circuit':
      return `${note.target}: ${note.from} → ${note.state}${callsOf(note)} (${note.source})`;
    case 'action':
      return `${note.target ?? ''} ${note.what}${note.source ? ` in ${note.source}` : ''}, by ${note.user}`.trim();
    case 'event':
      return `${note.event}${detailOf(note)} (${note.source})`;
    default:
      return `${note.reason ?? ''} (${note.source})`.trim();
  }
}

const detailOf = ({ detail }) => (detail === undefined ? '' : `: ${detail}`);
const callsOf = ({ calls, failures }) => (calls > 0 ? `, ${failures} of ${calls} calls failed` : '');
