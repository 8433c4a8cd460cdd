'use strict';

const { types } = require('node:util');
const { SluiceError } = require('./errors');
const { MOST_LEVELS, shorten } = require('./value-walk');

/**
 * Fails for a value of any kind that is nested too deeply for the stack of another thread, in the order in which structured
 * clone goes through it. An object in two places, or within itself, is cloned once.
 */
function checkLevels(value, what) {
  const seen = new Set();
  const open = [];
  const enter = (child, step) => {
    if (child === null || typeof child !== 'object' || seen.has(child)) return;
    seen.add(child);
    open.push({ children: childrenOf(child), step });
    if (open.length > MOST_LEVELS) throw tooDeep(what, open);
  };
  enter(value, '');
  while (open.length > 0) {
    const { done, value: entry } = open[open.length - 1].children.next();
    if (done) open.pop();
    else enter(entry[1], entry[0]);
  }
}

/** `[step, child]` of all that structured clone goes through; nothing of what it copies whole or refuses. */
function* childrenOf(object) {
  if (types.isProxy(object) || ArrayBuffer.isView(object)) return;
  if (types.isMap(object)) yield* entriesOf(object);
  else if (types.isSet(object)) for (const item of [...setValues.call(object)]) yield ['.values[]', item];
  else if (types.isNativeError(object)) yield ['.cause', object.cause];
  else
    for (const key of Object.keys(object))
      yield [Array.isArray(object) ? `[${key}]` : `.${key}`, object[key]];
}

function* entriesOf(map) {
  for (const [key, item] of [...mapEntries.call(map)]) {
    yield ['.keys[]', key];
    yield ['.values[]', item];
  }
}

// A map or set may have methods of its own.
const mapEntries = Map.prototype.entries;
const setValues = Set.prototype.values;

function tooDeep(what, open) {
  const path = shorten(what + open.map(({ step }) => step).join(''));
  return new SluiceError(
    'INVALID_VALUE',
    `${path} is nested too deeply; accepted: at most ${MOST_LEVELS} levels`,
  );
}

module.exports = { checkLevels };
