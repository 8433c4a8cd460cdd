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

function detailOf({ detail }) {
  return detail === undefined ? '' : `: ${detail}`;
}

function callsOf({ calls, failures }) {
  return calls > 0 ? `, ${failures} of ${calls} calls failed` : '';
}

module.exports = { sentenceOf };
