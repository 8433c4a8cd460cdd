'use strict';

const { MESSAGE_HEADER } = require('../runtime/layouts');
const { CODEC, decode } = require('./codec');
const { CODEC_UNIT, HEADER, KIND, incoming } = require('./frame');

/**
 * Hands on so many messages in order: `onMessage(kind, at, value)`, `onUndecodable(kind, at, error)` where its value cannot
 * be decoded, `onNews(kind, at, values)`; `at` is where its numbers begin. `taken` is the JSON text of an array, or an array
 * of that text and of what stands beside it. Stops when one of them answers false. What one of them throws is thrown later
 * on and keeps no other message from being handed on.
 */
function unpack(taken, count, { onMessage, onUndecodable, onNews }) {
  const [json, ...beside] = typeof taken === 'string' ? [taken] : taken;
  const texts = new Texts(json);
  let nextBeside = 0;
  const handOn = (kind, at) => {
    if (kind >= KIND.joined) {
      const first = nextBeside;
      nextBeside += kind === KIND.joined ? 1 + incoming[at + MESSAGE_HEADER.PLACE] : 0;
      return onNews(kind, at, beside.slice(first, nextBeside));
    }
    const codec = (incoming[at] - kind) / CODEC_UNIT;
    let value;
    try {
      value = codec <= CODEC.nothing ? texts.next() : decode(codec, beside[nextBeside++]);
    } catch (error) {
      return onUndecodable(kind, at, error);
    }
    return onMessage(kind, at, codec === CODEC.nothing ? undefined : value);
  };
  for (let at = 0; at < count * HEADER; at += HEADER) {
    try {
      if (handOn(incoming[at] % CODEC_UNIT, at) === false) return;
    } catch (error) {
      throwLater(error);
    }
  }
}

/** The values of a JSON text, parsed at once. Where that fails, each of them fails. */
class Texts {
  #values = [];
  #error;
  #taken = 0;

  constructor(json) {
    if (json === undefined) return;
    try {
      this.#values = JSON.parse(json);
    } catch (error) {
      this.#error = error;
    }
  }

  next() {
    if (this.#error !== undefined) throw this.#error;
    return this.#values[this.#taken++];
  }
}

function throwLater(error) {
  process.nextTick(() => {
    throw error;
  });
}

module.exports = { throwLater, unpack };
