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

/** What happened, the newest first; the same again and again is one line. All that clients control is text. */
export function Events({ notes, empty, open }) {
  if (notes.length === 0) return <p class="empty">{empty}</p>;
  return (
    <ol class="events">
      {grouped(notes).map(({ note, text, times, since }) => (
        <li key={note.number ?? `${note.at} ${text}`}>
          <time dateTime={new Date(note.at).toISOString()}>{time(note.at)}</time>
          <Badge kind={KINDS[note.type] ?? 'skipped'}>{note.type}</Badge>
          <span class="what">
            {note.client !== undefined && <Subject note={note} open={open} />} <bdi>{text}</bdi>
            {times > 1 && (
              <span class="note">
                {' '}
                × {count(times)} since {time(since)}
              </span>
            )}
          </span>
        </li>
      ))}
    </ol>
  );
}

/** Neighbours that say the same: the newest of them, how many there are, and the time of the oldest. */
function grouped(notes) {
  const groups = [];
  for (const note of notes) {
    const text = sentence(note);
    const last = groups.at(-1);
    const isSame = last?.text === text && last.note.type === note.type && last.note.client === note.client;
    if (isSame) {
      last.times += 1;
      last.since = note.at;
    } else groups.push({ note, text, times: 1, since: note.at });
  }
  return groups;
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
