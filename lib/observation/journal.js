'use strict';

const { native } = require('../runtime/native');

/** Adds a note to the journal of the process, unless it is there, or another thread has noted the change of that number. */
function note(entry, change) {
  native.addNote(JSON.stringify(entry), change);
}

/** The notes after number `since`, the oldest first, each with its `number`. */
function notesSince(since = 0) {
  return native.readNotes(since).map(({ number, text }) => ({ number, ...JSON.parse(text) }));
}

module.exports = { note, notesSince };
