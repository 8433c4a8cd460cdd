'use strict';

const { types } = require('node:util');
const { describe, SluiceError } = require('./errors');

/** Levels that the stack of every thread can read: arrays, objects, maps, sets and causes. The top value is the first. */
const MOST_LEVELS = 256;

/** Characters of a path on either side of the cut. */
const MOST_PATH_END = 80;

/** An array: its elements, then its named properties. */
class ArrayNode {
  target = [];
  #array;
  #length;
  #extras;

  constructor(array, extras) {
    this.#array = array;
    this.#length = array.length;
    this.#extras = extras;
    this.count = this.#length + extras.length;
  }

  child(at) {
    return at < this.#length ? this.#array[at] : this.#array[this.#extras[at - this.#length]];
  }

  isHole(at) {
    return at < this.#length && !(at in this.#array);
  }

  step(at) {
    return at < this.#length ? `[${at}]` : propertyStep(this.#extras[at - this.#length]);
  }

  put(_at, copy) {
    this.target.push(copy);
  }
}

class ObjectNode {
  target = {};
  #object;
  #keys;

  constructor(object) {
    this.#object = object;
    this.#keys = Object.keys(object);
    this.count = this.#keys.length;
  }

  child(at) {
    return this.#object[this.#keys[at]];
  }

  isHole() {
    return false;
  }

  step(at) {
    return propertyStep(this.#keys[at]);
  }

  put(at, copy) {
    const key = this.#keys[at];
    if (key === '__proto__') {
      Object.defineProperty(this.target, key, {
        value: copy,
        configurable: true,
        enumerable: true,
        writable: true,
      });
    } else {
      this.target[key] = copy;
    }
  }
}

/** What is in a map or a set, one after the other; `step(at)` is its path. */
class ListNode {
  #list;

  constructor(list, step) {
    this.#list = list;
    this.step = step;
    this.count = list.length;
  }

  child(at) {
    return this.#list[at];
  }

  isHole() {
    return false;
  }
}

/** What `open` answers for an object that has nothing within. */
const LEAF = Object.freeze({ count: 0 });

/**
 * Visits a value and everything within it, without recursion: an attacker may choose the depth.
 *
 * `kind` says what is accepted: `{ accepted, takesUndefined, copies, open(object, fail) }`. `open` gives the node of an
 * object that is accepted, else undefined; `fail(given, accepted?)` refuses it for a reason of its own.
 */
class Walk {
  #what;
  #kind;
  #levelsAbove;
  /** The nodes from the top to the current one. */
  #open = [];
  /** By object: the node that it has or had. */
  #nodes = new Map();
  #refuse = (given, accepted) => this.#fail(given, accepted);

  constructor(what, kind, levelsAbove) {
    this.#what = what;
    this.#kind = kind;
    this.#levelsAbove = levelsAbove;
  }

  /** The value; with `kind.copies` a copy, each of whose properties was read once. */
  run(value) {
    const result = this.#visit(value);
    while (this.#open.length > 0) this.#advance(this.#open[this.#open.length - 1]);
    return result;
  }

  #advance(node) {
    node.at += 1;
    if (node.at === node.count) {
      this.#close(node);
      return;
    }
    if (node.isHole(node.at)) this.#fail('a hole');
    const copy = this.#visit(node.child(node.at));
    if (this.#kind.copies) node.put(node.at, copy);
  }

  #close(node) {
    node.isOpen = false;
    this.#open.pop();
    const parent = this.#open[this.#open.length - 1];
    if (parent !== undefined) parent.height = Math.max(parent.height, node.height + 1);
  }

  #visit(value) {
    if (value === null || typeof value !== 'object') {
      this.#checkPrimitive(value);
      return value;
    }
    const known = this.#nodes.get(value);
    return known === undefined ? this.#enter(value) : this.#meetAgain(known);
  }

  #checkPrimitive(value) {
    const isNone = value === undefined && !this.#kind.takesUndefined;
    if (isNone || typeof value === 'function' || typeof value === 'symbol') this.#fail(value);
  }

  #enter(value) {
    this.#checkLevels(1);
    const node = this.#kind.open(value, this.#refuse);
    if (node === undefined) this.#fail(value);
    if (node === LEAF) return value;
    node.at = -1;
    node.height = 1;
    node.isOpen = true;
    this.#nodes.set(value, node);
    this.#open.push(node);
    return node.target;
  }

  /** An object in two places is no cycle. It may be deeper in the second place. */
  #meetAgain(node) {
    if (node.isOpen) this.#fail('a cycle');
    this.#checkLevels(node.height);
    const parent = this.#open[this.#open.length - 1];
    parent.height = Math.max(parent.height, node.height + 1);
    return node.target;
  }

  #checkLevels(height) {
    if (this.#levelsAbove + this.#open.length + height <= MOST_LEVELS) return;
    const accepted = `at most ${MOST_LEVELS} levels of arrays, objects, maps and sets`;
    throw new SluiceError('INVALID_VALUE', `${this.#path()} is nested too deeply; accepted: ${accepted}`);
  }

  #fail(given, accepted = this.#kind.accepted) {
    const what = typeof given === 'string' ? given : nameOf(given);
    throw new SluiceError('INVALID_VALUE', `${this.#path()} is ${what}; accepted: ${accepted}`);
  }

  #path() {
    return shorten(this.#what + this.#open.map((node) => node.step(node.at)).join(''));
  }
}

/** See `Walk`. `levelsAbove`: levels that hold the value. */
function walk(value, what, kind, levelsAbove = 0) {
  return new Walk(what, kind, levelsAbove).run(value);
}

/** The start and the end of a path that is long. */
function shorten(path) {
  if (path.length <= 2 * MOST_PATH_END) return path;
  return `${path.slice(0, MOST_PATH_END)}…${path.slice(-MOST_PATH_END)}`.toWellFormed();
}

/** Whether an object is plain. Those of another realm (a vm context) are too: their prototype has none itself. */
function isPlainObject(object) {
  const prototype = Object.getPrototypeOf(object);
  if (prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty');
}

/** The name of a refused value in the error. At most a getter of the value runs; if it throws, the error is ignored. */
function nameOf(given) {
  if (types.isProxy(given)) return 'a Proxy';
  let name;
  try {
    name = given?.constructor?.name;
  } catch {}
  return typeof name === 'string' && name !== '' && name !== 'Function' ? `a ${name}` : describe(given);
}

function propertyStep(key) {
  return /^[\w$]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

module.exports = { ArrayNode, LEAF, ListNode, MOST_LEVELS, ObjectNode, isPlainObject, shorten, walk };
