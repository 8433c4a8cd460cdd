'use strict';

const { native } = require('../runtime/native');

/** Objects with more keys travel with them. */
const MOST_KEYS = 16;
/** Characters of all keys. */
const LONGEST_KEYS = 512;
/** A shape is shared once this thread has sent it so often: objects that serve as maps have new keys each time. */
const SEEN_BEFORE = 8;
/** Most shapes that a thread keeps, and most of them with one first key. */
const MOST_SHAPES = 1024;
const MOST_ALIKE = 8;

const NOT_SHARED = -1;
/** The process shares no more shapes. */
const NEVER_SHARED = -2;

/** The keys of plain objects that this thread sends, in their order. */
class SentShape {
  keys;
  number = NOT_SHARED;
  #seen = 0;

  constructor(keys) {
    this.keys = keys;
  }

  has(keys) {
    const own = this.keys;
    if (own.length !== keys.length) return false;
    for (let at = 0; at < own.length; at++) if (own[at] !== keys[at]) return false;
    return true;
  }

  /** Whether receivers can look the shape up by its number. */
  isShared() {
    if (this.number !== NOT_SHARED) return this.number >= 0;
    this.#seen += 1;
    if (this.#seen > SEEN_BEFORE) {
      this.number = native.payloadShapeNumber(JSON.stringify(this.keys)) ?? NEVER_SHARED;
    }
    return this.number >= 0;
  }
}

/** The shapes that this thread has sent. */
class SentShapes {
  #latest = new SentShape([]);
  #byFirstKey = new Map();
  #count = 0;

  /** The shape of an object with these keys; undefined where it is not shared with other threads. */
  of(keys) {
    if (keys.length === 0 || keys.length > MOST_KEYS) return undefined;
    const shape = this.#latest.has(keys) ? this.#latest : this.#find(keys);
    if (shape === undefined) return undefined;
    this.#latest = shape;
    return shape.isShared() ? shape : undefined;
  }

  #find(keys) {
    const alike = this.#byFirstKey.get(keys[0]);
    if (alike === undefined) return this.#keep(keys, []);
    for (const shape of alike) if (shape.has(keys)) return shape;
    return this.#keep(keys, alike);
  }

  #keep(keys, alike) {
    const length = keys.reduce((sum, key) => sum + key.length, 0);
    if (this.#count === MOST_SHAPES || alike.length === MOST_ALIKE || length > LONGEST_KEYS) return undefined;
    const shape = new SentShape(keys);
    alike.push(shape);
    this.#byFirstKey.set(keys[0], alike);
    this.#count += 1;
    return shape;
  }
}

/** A shape that other threads send. */
class ReceivedShape {
  #template;
  keys;

  /** `text`: the keys as JSON. */
  constructor(text) {
    this.keys = JSON.parse(text);
    this.#template = JSON.parse(`{${this.keys.map((key) => `${JSON.stringify(key)}:null`).join()}}`);
  }

  /** The object whose values begin at `first`. All properties are its own before they are set, so no setter runs. */
  read(values, first) {
    const { keys } = this;
    const object = { ...this.#template };
    for (let at = 0; at < keys.length; at++) object[keys[at]] = values[first + at];
    return object;
  }
}

const received = [];

function receivedShape(number) {
  received[number] ??= new ReceivedShape(native.payloadShape(number));
  return received[number];
}

module.exports = { receivedShape, sentShapes: new SentShapes() };
