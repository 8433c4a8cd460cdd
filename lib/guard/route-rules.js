'use strict';

const { fitted } = require('../runtime/fitted-name');
const { owned } = require('../runtime/schema');

/**
 * The rules of declared routes, by guard, by the route's options and by the limiter's name. They are created once: creating
 * one again would fail once its limiter was reconfigured.
 */
const declaredOf = new WeakMap();

/**
 * The rules of Fastify's routes, from their `config.sluice`. A route's limiter is named after the method and the route's
 * pattern only, so the name is the same in every thread and in every order of loading. Each method of a route has its own
 * limiter; HEAD shares GET's, as it does the same work. Routes with the same `name` share the limiter of that name.
 */
class RouteRules {
  #guard;
  #ofConfig = new WeakMap();
  #declared;
  /** Whether all routes have the guard's rule: then the costly look-up by request is skipped. */
  #haveGuardRule;

  /** `sawAll`: no route was declared before. */
  constructor(guard, { sawAll }) {
    this.#guard = guard;
    this.#haveGuardRule = sawAll;
    if (!declaredOf.has(guard)) declaredOf.set(guard, new WeakMap());
    this.#declared = declaredOf.get(guard);
  }

  /**
   * Creates the limiters of a declared route, so that an invalid option fails the start of the server. Returns the hook in
   * which its rate is decided.
   */
  declare({ method, url, config }) {
    const options = ownOptions(config);
    if (options === undefined) return this.#guard.rule.hook;
    this.#haveGuardRule = false;
    const rules = [method].flat().map((one) => this.#declare(one, url, options));
    return rules[0].hook;
  }

  /** The rule of a request. Limiters of routes declared before the plugin are created here, with their first request. */
  of(request) {
    return this.#haveGuardRule ? this.#guard.rule : this.#ruleOf(request);
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
