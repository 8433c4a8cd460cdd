'use strict';

const { count } = require('./format');

/** What happened, as a sentence. */
function sentenceOf(note) {
  switch (note.type) {
    case 'alert':
      return `${note.rule}: ${count(note.count)} times ${note.event}${detailOf(note)}`;
    case 'circuit':
      return `${note.target}: ${note.from} to ${note.state}${callsOf(note)} (${note.source})`;
    case 'action':
      return [note.target, note.what, note.source && `in ${note.source},`, `by ${note.user}`]
        .filter(Boolean)
        .join(' ');
    case 'event':
      return `${note.event}${detailOf(note)} (${note.source})`;
    default:
      return [note.reason, `(${note.source})`].filter(Boolean).join(' ');
  }
}

/** Notes with their sentences; neighbours that say the same are one, the newest, with how many there are. */
function grouped(notes) {
  const groups = [];
  for (const note of notes) {
    const sentence = sentenceOf(note);
    const last = groups.at(-1);
    const isSame =
      last?.sentence === sentence && last.note.type === note.type && last.note.client === note.client;
    if (isSame) last.times += 1;
    else groups.push({ note, sentence, times: 1 });
  }
  return groups.map(({ note, sentence, times }) => {
    return { ...note, sentence: times === 1 ? sentence : `${sentence}, ${count(times)} times` };
  });
}

function detailOf({ detail }) {
  return detail === undefined ? '' : `: ${detail}`;
}

function callsOf({ calls, failures }) {
  return calls > 0 ? `, ${failures} of ${calls} calls failed` : '';
}

module.exports = { grouped };
