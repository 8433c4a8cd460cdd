'use strict';

const { Reflector } = require('@nestjs/core');
const { fitted } = require('../runtime/fitted-name');
const { byContext } = require('./context');
const { kRoute } = require('./decorators');

/** Nest's own metadata of a method that serves a route. */
const ROUTE_PATH = 'path';

const reflector = new Reflector();

/**
 * The rules of routes by their decorators. A limiter without a `name` of its own is named after the class and its
 * property that holds the method, so the name is the same in every thread, whatever a decorator wraps the method in. Routes with the same `name` share the limiter of that name.
 */
class RouteRules {
  #guard;
  /** By method, then by class: classes may inherit a method. */
  #rules = new WeakMap();

  constructor(guard) {
    this.#guard = guard;
  }

  /** Creates the limiters of a class, so that options which differ fail the start of the application. */
  declare(Class, methodNames) {
    for (const name of methodNames) {
      const method = Class.prototype[name];
      const isRoute = Reflect.getMetadata(ROUTE_PATH, method) !== undefined;
      if (isRoute || reflector.get(kRoute, method) !== undefined) this.of(Class, method, name);
    }
  }

  /** `property` is that of the class which holds the method; it is looked up once where it is not given. */
  of(Class, method, property) {
    if (!this.#rules.has(method)) this.#rules.set(method, new WeakMap());
    const ofClasses = this.#rules.get(method);
    if (!ofClasses.has(Class))
      ofClasses.set(Class, this.#make(Class, method, property ?? propertyOf(Class, method)));
    return ofClasses.get(Class);
  }

  #make(Class, method, property) {
    const options = reflector.getAllAndOverride(kRoute, [method, Class]);
    if (options === undefined) return this.#guard.rule;
    const own = byContext(options);
    const name = own.name ?? `${Class.name}.${String(property)}`;
    return this.#guard.routeRule(fitted(`${this.#guard.name}:${name}`), own);
  }
}

/** The name of the property that holds the method; the method's own name where no property does. */
function propertyOf(Class, method) {
  for (let of = Class.prototype; of !== null && of !== undefined; of = Object.getPrototypeOf(of)) {
    const properties = Object.getOwnPropertyDescriptors(of);
    const found = Object.keys(properties).find((name) => properties[name].value === method);
    if (found !== undefined) return found;
  }
  return method.name;
}

module.exports = { RouteRules };
