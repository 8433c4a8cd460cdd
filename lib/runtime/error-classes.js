'use strict';

/** Errors of the language and the platform, which keep their class in other threads. Some versions of Node lack one. */
const CLASSES = {
  AggregateError,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  SuppressedError: globalThis.SuppressedError,
  DOMException,
  CompileError: globalThis.WebAssembly?.CompileError,
  LinkError: globalThis.WebAssembly?.LinkError,
  RuntimeError: globalThis.WebAssembly?.RuntimeError,
};

/** How to make one of a class that does not take the message first. */
const MAKERS = {
  AggregateError: (message) => new AggregateError([], message),
  SuppressedError: (message) => new globalThis.SuppressedError(undefined, undefined, message),
  DOMException: (message, name) => new DOMException(message, name),
};

/** The name of the class that an error is of, or that its own class extends. */
function classOf(error) {
  for (const [name, Class] of Object.entries(CLASSES)) {
    if (Class !== undefined && error instanceof Class) return name;
  }
  // Of another realm (a vm context).
  return Object.hasOwn(CLASSES, error.name) && error.name !== 'DOMException' ? error.name : 'Error';
}

/** An error of a class by its name; a plain one where there is no such class. */
function makeError(className, message, name) {
  const Class = Object.hasOwn(CLASSES, className) ? CLASSES[className] : undefined;
  if (Class === undefined) return new Error(message);
  return Object.hasOwn(MAKERS, className) ? MAKERS[className](message, name) : new Class(message);
}

module.exports = { classOf, makeError };
