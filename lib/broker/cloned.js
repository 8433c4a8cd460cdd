'use strict';

const { types } = require('node:util');
const { ArrayNode, isPlainObject, LEAF, ListNode, ObjectNode } = require('../runtime/value-walk');

const ACCEPTED =
  'null, undefined, booleans, numbers, bigints, strings, Buffers, typed arrays, Date, Map, Set, arrays and plain objects of these, without cycles';

// Read through the getters of built-in prototypes: own properties and prototypes of a value may lie.
const getterOf = (prototype, key) => Object.getOwnPropertyDescriptor(prototype, key).get;
const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype);
const typedArrayLength = getterOf(typedArrayPrototype, 'length');
const typedArrayByteLength = getterOf(typedArrayPrototype, 'byteLength');
const dataViewByteLength = getterOf(DataView.prototype, 'byteLength');
const arrayBufferByteLength = getterOf(ArrayBuffer.prototype, 'byteLength');
const mapForEach = Map.prototype.forEach;
const setForEach = Set.prototype.forEach;

/** Classes that an object may belong to by its prototype only. */
const CLASSES = [
  ['a typed array', Object.getPrototypeOf(Uint8Array)],
  ['a DataView', DataView],
  ['an ArrayBuffer', ArrayBuffer],
  ['a Map', Map],
  ['a Set', Set],
  ['a Date', Date],
];

/** Elements of a typed array. */
function lengthOf(typedArray) {
  return typedArrayLength.call(typedArray);
}

/** Bytes that an object holds; 0 for other objects. */
function byteLengthOf(object) {
  if (types.isTypedArray(object)) return typedArrayByteLength.call(object);
  if (types.isDataView(object)) return dataViewByteLength.call(object);
  return types.isArrayBuffer(object) ? arrayBufferByteLength.call(object) : 0;
}

/** For `walk`: what structured clone copies. Named properties of arrays are visited, properties under symbols are not. */
function openCloned(object, fail) {
  if (types.isProxy(object)) return undefined;
  if (Array.isArray(object)) return new ArrayNode(object, Object.keys(object).slice(object.length));
  if (types.isMap(object)) return new ListNode(entriesOf(object), stepOfMap);
  if (types.isSet(object)) return new ListNode(valuesOf(object), (at) => `.values[${at}]`);
  if (ArrayBuffer.isView(object) || types.isDate(object) || types.isArrayBuffer(object)) return LEAF;
  if (isPlainObject(object)) return new ObjectNode(object);
  const claimed = CLASSES.find(([, Class]) => object instanceof Class);
  if (claimed !== undefined) fail(`an object that is ${claimed[0]} by its prototype only`);
  return undefined;
}

function entriesOf(map) {
  const list = [];
  mapForEach.call(map, (value, key) => list.push(key, value));
  return list;
}

function valuesOf(set) {
  const list = [];
  setForEach.call(set, (value) => list.push(value));
  return list;
}

const stepOfMap = (at) => `.${at % 2 === 0 ? 'keys' : 'values'}[${at >> 1}]`;

module.exports = { ACCEPTED, byteLengthOf, lengthOf, openCloned };
