'use strict';

const { StringDecoder } = require('node:string_decoder');
const { Failure } = require('./failure');

/** An event is a snapshot; a longer one is not of a dashboard. */
const MOST_CHARACTERS = 64 * 1024 * 1024;

/** Reads an event stream: calls `onEvent(name, data)` for each event, its data parsed. */
class EventReader {
  #decoder = new StringDecoder('utf8');
  #pending = '';
  #onEvent;

  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  add(chunk) {
    this.#pending += this.#decoder.write(chunk);
    const events = this.#pending.split('\n\n');
    this.#pending = events.pop();
    if (this.#pending.length > MOST_CHARACTERS) throw new Failure('the stream has no end of an event');
    for (const event of events) this.#read(event);
  }

  #read(event) {
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? [];
    // Comments and the time after which to connect again.
    if (name !== undefined) this.#onEvent(name, JSON.parse(data));
  }
}

module.exports = { EventReader };
