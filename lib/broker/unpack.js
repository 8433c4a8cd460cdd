'use strict';

const { CODEC, decode } = require('./codec');
const { CODEC_UNIT, HEADER, KIND, incoming } = require('./frame');

/**
 * Calls `onMessage(kind, at, value)` or `onNews(kind, at, values)` for each of so many messages in order; `at` is where its
 * numbers begin. `taken` is the JSON text of an array, or an array of that text and of what stands beside it. Stops when one
 * of them answers false.
 */
function unpack(taken, count, onMessage, onNews) {
  const [json, ...beside] = typeof taken === 'string' ? [taken] : taken;
  const values = json === undefined ? [] : JSON.parse(json);
  let nextValue = 0;
  let nextBeside = 0;
  for (let at = 0; at < count * HEADER; at += HEADER) {
    const kind = incoming[at] % CODEC_UNIT;
    if (kind >= KIND.joined) {
      const used = kind === KIND.joined ? 1 + incoming[at + 3] : 0;
      if (onNews(kind, at, beside.slice(nextBeside, nextBeside + used)) === false) return;
      nextBeside += used;
      continue;
    }
    const codec = (incoming[at] - kind) / CODEC_UNIT;
    const value = codec <= CODEC.nothing ? values[nextValue++] : decode(codec, beside[nextBeside++]);
    if (onMessage(kind, at, codec === CODEC.nothing ? undefined : value) === false) return;
  }
}

module.exports = { unpack };
