'use strict';

const { MESSAGE_HEADER } = require('../runtime/layouts');
const { CODEC, decode, isInText } = require('./codec');
const { CODEC_UNIT, HEADER, KIND, incoming } = require('./headers');
const { receivedShape } = require('./shaped');

/**
 * Passes `count` messages on in order: to `receiver.onMessage(kind, at, value)`, to `onUndecodable(kind, at, error)` if
 * the payload cannot be decoded, or to `onEvent(kind, at, values)`; `at` is where the header begins. `taken` is the JSON
 * text of an array, or an array of that text and of the payloads that are not JSON. Stops when one of them returns false.
 * An error that one of them throws is rethrown later, and the other messages are passed on.
 */
function unpack(taken, count, receiver) {
  const payloads = new Payloads(taken);
  for (let at = 0; at < count * HEADER; at += HEADER) {
    try {
      if (passOn(payloads, at, receiver) === false) return;
    } catch (error) {
      throwLater(error);
    }
  }
}

function passOn(payloads, at, receiver) {
  const kind = incoming[at] % CODEC_UNIT;
  if (kind >= KIND.joined) return receiver.onEvent(kind, at, payloads.ofEvent(kind, at));
  const codec = (incoming[at] - kind) / CODEC_UNIT;
  let value;
  try {
    value = payloads.ofMessage(codec);
  } catch (error) {
    return receiver.onUndecodable(kind, at, error);
  }
  return receiver.onMessage(kind, at, value);
}

/** The payloads of messages in order. JSON is parsed at once; if that fails, each of them fails. */
class Payloads {
  #values = [];
  #nextValue = 0;
  #error;
  /** The payloads that are not JSON, after the text. */
  #others;
  #nextOther = 1;

  constructor(taken) {
    const json = typeof taken === 'string' ? taken : taken[0];
    this.#others = taken;
    if (json === undefined) return;
    try {
      this.#values = JSON.parse(json);
    } catch (error) {
      this.#error = error;
    }
  }

  ofMessage(codec) {
    if (!isInText(codec)) return decode(codec, this.#others[this.#nextOther++]);
    if (this.#error !== undefined) throw this.#error;
    const value = this.#values[this.#nextValue++];
    if (codec === CODEC.json) return value;
    return codec === CODEC.nothing ? undefined : this.#ofShape(receivedShape(value));
  }

  #ofShape(shape) {
    const first = this.#nextValue;
    this.#nextValue += shape.keys.length;
    return shape.read(this.#values, first);
  }

  /** The id and the metadata of a peer that joined. */
  ofEvent(kind, at) {
    if (kind !== KIND.joined) return [];
    const first = this.#nextOther;
    this.#nextOther += 1 + incoming[at + MESSAGE_HEADER.SLOT];
    return this.#others.slice(first, this.#nextOther);
  }
}

function throwLater(error) {
  process.nextTick(() => {
    throw error;
  });
}

module.exports = { throwLater, unpack };
