/*
 * What the ways to copy a small object cost: both directions, in one thread, without anything else of a call.
 *
 *   node benchmark/broker/codecs.mjs
 *
 * Eight messages travel together, as under load. `one shape`: all objects have the same keys. `six shapes`: they alternate,
 * as in a server with several endpoints, so that code specialised for one shape is not inlined.
 */
import { createRequire } from 'node:module';
import v8 from 'node:v8';
import { median, shuffled } from '../statistics.mjs';
import { table } from '../table.mjs';

const require = createRequire(import.meta.url);
const { isExactAsJson } = require('../../lib/broker/exact-json.js');
const { receivedShape, toShaped } = require('../../lib/broker/shaped.js');

const TOGETHER = 8;
const ROUNDS = 15;
const BATCHES = 4_000;

const SHAPES = [
  (n) => ({ id: 100_000 + (n % 800_000), user: 'ada', path: '/orders?page=7' }),
  (n) => ({ order: n, total: 12.5, paid: true, items: [1, 2, 3] }),
  (n) => ({ ok: true, count: n }),
  (n) => ({ key: `client ${n % 100}`, cost: 1 }),
  (n) => ({ at: n, level: 'info', message: 'request served', status: 200, ms: 3 }),
  (n) => ({ id: n, tags: { a: 'x', b: 'y' } }),
];

const LOADS = { 'one shape': SHAPES.slice(0, 1), 'six shapes': SHAPES };

/** One pass instead of two: checks the value and writes its JSON. */
const NEEDS_ESCAPE = /["\\\p{Cc}\p{Cs}]/u;
const fieldTexts = new Map();

function fieldText(key) {
  let text = fieldTexts.get(key);
  if (text === undefined) {
    text = `${JSON.stringify(key)}:`;
    fieldTexts.set(key, text);
  }
  return text;
}

function written(value) {
  switch (typeof value) {
    case 'string':
      return NEEDS_ESCAPE.test(value) ? JSON.stringify(value) : `"${value}"`;
    case 'object':
      return value === null ? 'null' : writtenObject(value);
    default:
      return `${value}`;
  }
}

function writtenObject(object) {
  if (typeof object.toJSON === 'function') throw new Error('not exact');
  if (Array.isArray(object)) return `[${object.map(written).join(',')}]`;
  if (Object.getPrototypeOf(object) !== Object.prototype) throw new Error('not exact');
  let text = '';
  for (const key in object) text += `${text === '' ? '{' : ','}${fieldText(key)}${written(object[key])}`;
  return text === '' ? '{}' : `${text}}`;
}

/** V8 makes a longer substring refer to its string, which it keeps in memory. */
const LONGEST_COPIED = 12;

/**
 * Numbers and flags in one array, characters in one string; objects are made by shapes that were seen before. `copies`:
 * whether substrings are copied, as they must be where the receiver keeps them.
 */
class Templates {
  #copies;
  #shapes = new Map();
  #list = [];
  #numbers = new Float64Array(4096);
  #at = 0;
  #text = '';

  constructor(copies) {
    this.#copies = copies;
  }

  encode(values) {
    this.#at = 0;
    this.#text = '';
    for (const value of values) this.#write(value);
    return this.#text;
  }

  decode(text, count) {
    const values = [];
    this.#at = 0;
    let from = 0;
    const read = () => {
      const numbers = this.#numbers;
      const tag = numbers[this.#at++];
      if (tag === 0) return numbers[this.#at++];
      if (tag === 1) {
        const start = from;
        from += numbers[this.#at++];
        const isCopied = this.#copies && from - start > LONGEST_COPIED;
        return isCopied ? wire.latin1Slice(start, from) : text.slice(start, from);
      }
      if (tag === 2) return numbers[this.#at++] === 1;
      if (tag === 3) return Array.from({ length: numbers[this.#at++] }, read);
      const keys = this.#list[tag - 4];
      const object = {};
      for (let at = 0; at < keys.length; at++) object[keys[at]] = read();
      return object;
    };
    for (let index = 0; index < count; index++) values.push(read());
    return values;
  }

  #write(value) {
    const numbers = this.#numbers;
    switch (typeof value) {
      case 'number':
        numbers[this.#at++] = 0;
        numbers[this.#at++] = value;
        return;
      case 'string':
        numbers[this.#at++] = 1;
        numbers[this.#at++] = value.length;
        this.#text += value;
        return;
      case 'boolean':
        numbers[this.#at++] = 2;
        numbers[this.#at++] = value ? 1 : 0;
        return;
    }
    if (Array.isArray(value)) {
      numbers[this.#at++] = 3;
      numbers[this.#at++] = value.length;
      for (const one of value) this.#write(one);
      return;
    }
    if (Object.getPrototypeOf(value) !== Object.prototype) throw new Error('not plain');
    const head = this.#at++;
    let shape = this.#shapes;
    for (const key in value) {
      shape = shape.get(key) ?? grown(shape, key);
      this.#write(value[key]);
    }
    numbers[head] = 4 + this.#numberOf(shape, value);
  }

  #numberOf(shape, value) {
    shape.number ??= this.#list.push(Object.keys(value)) - 1;
    return shape.number;
  }
}

function grown(shape, key) {
  const next = new Map();
  shape.set(key, next);
  return next;
}

const templates = new Templates(false);
const copyingTemplates = new Templates(true);

/** A string as it arrives: flat, with one byte for each character, made from bytes. */
const wire = Buffer.alloc(2 ** 16);
const crossed = (text) => wire.latin1Slice(0, wire.latin1Write(text));

const joined = (values, encode) => {
  let text = '';
  for (const value of values) text = text === '' ? encode(value) : `${text},${encode(value)}`;
  return `[${text}]`;
};

const checkedJson = (value) => {
  if (!isExactAsJson(value, 0)) throw new Error('not exact');
  return JSON.stringify(value);
};

/** Objects as the broker reads them. */
function ofShapes(values, count) {
  let next = 0;
  return Array.from({ length: count }, () => {
    const shape = receivedShape(values[next]);
    const first = next + 1;
    next = first + shape.keys.length;
    return shape.read(values, first);
  });
}

const WAYS = {
  'JSON, checked': (values) => JSON.parse(crossed(joined(values, checkedJson))),
  'JSON without the keys (the broker)': (values) =>
    ofShapes(JSON.parse(crossed(joined(values, toShaped))), values.length),
  'JSON, unchecked': (values) => JSON.parse(crossed(joined(values, JSON.stringify))),
  'JSON, one array a batch': (values) => {
    if (!isExactAsJson(values, 0)) throw new Error('not exact');
    return JSON.parse(crossed(JSON.stringify(values)));
  },
  'JSON, checked and written in one pass': (values) => JSON.parse(crossed(joined(values, written))),
  'templates by shape': (values) => templates.decode(crossed(templates.encode(values)), values.length),
  'templates, substrings copied': (values) =>
    copyingTemplates.decode(crossed(copyingTemplates.encode(values)), values.length),
  'v8.serialize': (values) => values.map((value) => v8.deserialize(v8.serialize(value))),
  structuredClone: (values) => values.map((value) => structuredClone(value)),
};

/** The parts of the first way. */
const PARTS = {
  'the check': (values) => values.every((value) => isExactAsJson(value, 0)),
  'writing without the keys': (values) => joined(values, toShaped).length,
  'JSON.stringify, joined': (values) => joined(values, JSON.stringify).length,
  'the string there and back': (_values, text) => crossed(text),
  'JSON.parse': (_values, text) => JSON.parse(text),
};

function batchesOf(shapes) {
  let made = 0;
  const one = () => shapes[made % shapes.length](made++);
  return Array.from({ length: 64 }, () => Array.from({ length: TOGETHER }, one));
}

function nanosecondsOf(way, batches) {
  const texts = batches.map((batch) => JSON.stringify(batch));
  const before = process.cpuUsage();
  for (let index = 0; index < BATCHES; index++) way(batches[index % 64], texts[index % 64]);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (BATCHES * TOGETHER);
}

function measure(ways, batches) {
  const names = Object.keys(ways);
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS + 3; round++) {
    for (const at of shuffled(names.length)) {
      const ns = nanosecondsOf(ways[names[at]], batches);
      if (round >= 3) samples[names[at]].push(ns);
    }
  }
  return samples;
}

for (const [load, shapes] of Object.entries(LOADS)) {
  const batches = batchesOf(shapes);
  // Until every shape is known to all threads.
  for (const batch of batches) joined(batch, (value) => toShaped(value) ?? '');
  for (const [name, way] of Object.entries(WAYS)) {
    if (JSON.stringify(way(batches[0])) !== JSON.stringify(batches[0]))
      throw new Error(`${name} copies wrongly`);
  }
  const samples = { ...measure(WAYS, batches), ...measure(PARTS, batches) };
  const [first] = Object.values(samples);
  const rows = Object.entries(samples).map(([name, ns]) => [
    name,
    median(ns).toFixed(0),
    median(ns.map((one, round) => one / first[round])).toFixed(2),
  ]);
  console.log(`${load}\n\n${table(['way', 'ns a message', '× checked JSON'], rows)}\n`);
}
