'use strict';

const { createHash } = require('node:crypto');
const { owned } = require('../runtime/schema');

/** What a name may have at most. */
const NAME_LENGTH = 128;

/** A pattern too long for a name keeps its beginning, and a digest that tells it from others. */
function fitted(name) {
  if (name.length <= NAME_LENGTH) return name;
  const digest = `#${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
  return name.slice(0, NAME_LENGTH - digest.length) + digest;
}

/**
 * The rules that were made for declared routes, by guard, by the route's options and by the limiter's name. A rule that is
 * made again later fails where its limiter was reconfigured in between.
 */
const declaredOf = new WeakMap();

/**
 * The rules of Fastify's routes, from their `config.sluice`. A route's limiter is named after the request's
 * method and the route's pattern, nothing else: the same in every thread and in every order of loading. Each
 * method of a route has a limiter of its own, as if declared alone; HEAD has GET's, being a way to ask for
 * the same work. Routes whose configuration has one `name` share the limiter of that name.
 */
class RouteRules {
  #guard;
  #ofConfig = new WeakMap();
  #declared;
  /** Whether all routes have the guard's rule: then requests need not be asked for theirs, which costs. */
  #areAllAlike;

  /** `sawAll` says that no route was declared before. */
  constructor(guard, { sawAll }) {
    this.#guard = guard;
    this.#areAllAlike = sawAll;
    if (!declaredOf.has(guard)) declaredOf.set(guard, new WeakMap());
    this.#declared = declaredOf.get(guard);
  }

  /**
   * Makes a declared route's limiters, so that a bad option fails the start of the server. Answers the hook in which its
   * rate is decided.
   */
  declare({ method, url, config }) {
    const options = ownOptions(config);
    if (options === undefined) return this.#guard.rule.hook;
    this.#areAllAlike = false;
    const rules = [method].flat().map((one) => this.#declare(one, url, options));
    return rules[0].hook;
  }

  /** Routes declared before the plugin was loaded are met here, with their first request. */
  of(request) {
    return this.#areAllAlike ? this.#guard.rule : this.#ruleOf(request);
  }

  #ruleOf({ method, routeOptions: { url, config } }) {
    if (ownOptions(config) === undefined || url === undefined) return this.#guard.rule;
    const rules = this.#ofMethods(config);
    if (!rules.has(method)) rules.set(method, this.#make(method, url, config.sluice));
    return rules.get(method);
  }

  /** Fastify keeps one `config` object per route. */
  #ofMethods(config) {
    if (!this.#ofConfig.has(config)) this.#ofConfig.set(config, new Map());
    return this.#ofConfig.get(config);
  }

  #make(method, url, options) {
    const name = this.#nameOf(method, url, options);
    return this.#declared.get(options)?.get(name) ?? this.#guard.routeRule(name, options);
  }

  #declare(method, url, options) {
    const name = this.#nameOf(method, url, options);
    const rule = this.#guard.routeRule(name, options);
    if (!this.#declared.has(options)) this.#declared.set(options, new Map());
    this.#declared.get(options).set(name, rule);
    return rule;
  }

  #nameOf(method, url, options) {
    const counted = method === 'HEAD' ? 'GET' : method;
    const ofRoute = owned(options).name ?? `${counted} ${url}`;
    return fitted(`${this.#guard.name}:${ofRoute}`);
  }
}

function ownOptions(config) {
  return typeof config === 'object' && config !== null && Object.hasOwn(config, 'sluice')
    ? config.sluice
    : undefined;
}

module.exports = { RouteRules };
