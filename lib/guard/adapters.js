'use strict';

const { expressMiddleware } = require('./express-middleware');

/** Middleware and plugins of one guard by their framework. Each is loaded only where it is used. */
class Adapters {
  #guard;
  #adapters = new Map();

  constructor(guard) {
    this.#guard = guard;
  }

  get express() {
    return this.#adapted('express', expressMiddleware);
  }

  get koa() {
    return this.#adapted('koa', (guard) => require('./koa-middleware').koaMiddleware(guard));
  }

  get hono() {
    return this.#adapted('hono', (guard) => require('./hono-middleware').honoMiddleware(guard));
  }

  get http() {
    return this.#adapted('http', (guard) => require('./http-listener').httpListener(guard));
  }

  get fastify() {
    return this.#adapted('fastify', (guard) => require('./fastify-plugin').pluginOf(() => guard));
  }

  #adapted(framework, make) {
    if (!this.#adapters.has(framework)) this.#adapters.set(framework, make(this.#guard));
    return this.#adapters.get(framework);
  }
}

module.exports = { Adapters };
