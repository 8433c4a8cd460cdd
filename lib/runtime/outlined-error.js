'use strict';

const { types } = require('node:util');
const { classOf } = require('./error-classes');
const { describe, SluiceError } = require('./errors');
const { copyPlain } = require('./value');
const { MOST_LEVELS, shorten } = require('./value-walk');

/** Properties that an outline holds by themselves, or not at all. */
const NO_FIELDS = new Set(['name', 'message', 'code', 'stack', 'remoteStack', 'cause']);

/** Where an error refers to another. */
const LINKS = ['cause'];
const SUPPRESSED_LINKS = ['cause', 'error', 'suppressed'];

/** How the engine reads a stack, where that is a getter of each error. */
const stackGetter = Object.getOwnPropertyDescriptor(new Error(), 'stack').get;

/**
 * What was thrown, as a plain value for other threads: `{ value }` of what is no error; else `{ errors }`, a list with the
 * error and then all that it refers to by `cause` and `errors`. It is flat, so a long chain is not deep. A reference is
 * the place in the list, or `{ value }`. Never throws.
 */
function outline(thrown) {
  try {
    return new Outline(thrown).result;
  } catch {
    return new Outline(new Error('an error that cannot be read')).result;
  }
}

class Outline {
  result;
  #errors = [];
  /** The errors of the list, each with its level and path. */
  #found = [];
  #places = new Map();

  constructor(thrown) {
    const top = this.#refer(thrown, 1, () => 'error');
    // Each adds what it refers to.
    for (let place = 0; place < this.#found.length; place++)
      this.#errors.push(this.#read(this.#found[place]));
    this.result = typeof top === 'number' ? { errors: this.#errors } : top;
  }

  #refer(thrown, level, path) {
    if (!isError(thrown)) return { value: plain(thrown, level - 1) };
    const known = this.#places.get(thrown);
    if (known !== undefined) return known;
    const error = level > MOST_LEVELS ? tooDeep(path()) : thrown;
    this.#places.set(thrown, this.#found.length);
    return this.#found.push({ error, level, path }) - 1;
  }

  #read({ error, level, path }) {
    const { name, message, code } = error;
    const outlined = {
      class: classOf(error),
      name: text(name),
      message: text(message),
      stack: stackOf(error),
    };
    if (code !== undefined) outlined.code = plain(code, level);
    outlined.fields = fieldsOf(error, level);
    this.#link(outlined, error, level, (step) => () => `${path()}${step}`);
    return outlined;
  }

  /** What an error refers to. */
  #link(outlined, error, level, pathTo) {
    for (const key of outlined.class === 'SuppressedError' ? SUPPRESSED_LINKS : LINKS) {
      const own = ownData(error, key);
      if (own !== undefined) outlined[key] = this.#refer(own.value, level + 1, pathTo(`.${key}`));
    }
    const errors = ownData(error, 'errors');
    if (!Array.isArray(errors?.value)) return;
    const refer = (one, at) => this.#refer(one, level + 2, pathTo(`.errors[${at}]`));
    outlined.errors = Array.from(errors.value, refer);
    outlined.areEnumerable = errors.enumerable;
  }
}

/** The plain data among its own properties; no getters. */
function fieldsOf(error, level) {
  const fields = [];
  for (const key of Object.keys(error)) {
    const own = NO_FIELDS.has(key) ? undefined : ownData(error, key);
    if (own === undefined || (key === 'errors' && Array.isArray(own.value))) continue;
    try {
      fields.push([key, copyPlain(own.value, key, level)]);
    } catch {}
  }
  return fields;
}

function isError(thrown) {
  return types.isNativeError(thrown) || thrown instanceof Error;
}

/** The descriptor of a property that is an object's own, and no getter. */
function ownData(object, key) {
  const own = Object.getOwnPropertyDescriptor(object, key);
  return own !== undefined && 'value' in own ? own : undefined;
}

/** The stack here, and below it those of the threads that the error has come from. */
function stackOf(error) {
  const own = Object.getOwnPropertyDescriptor(error, 'stack');
  const isEngines = own === undefined || 'value' in own || own.get === stackGetter;
  const here = isEngines ? text(error.stack) : `${text(error.name)}: ${text(error.message)}`;
  const before = ownData(error, 'remoteStack')?.value;
  return typeof before === 'string' ? `${here}\n${before}` : here;
}

function tooDeep(path) {
  const message = `${shorten(path)} is nested too deeply; accepted: at most ${MOST_LEVELS} levels`;
  return new SluiceError('INVALID_VALUE', message);
}

/** A copy of a plain value, without its getters; a description of any other. */
function plain(value, levelsAbove) {
  try {
    return copyPlain(value, 'value', levelsAbove);
  } catch {
    return describe(value);
  }
}

function text(value) {
  return typeof value === 'string' ? value : describe(value);
}

module.exports = { outline };
