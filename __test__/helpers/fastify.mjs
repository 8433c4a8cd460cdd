// Fastify servers for tests.
import Fastify from 'fastify';
import sluice from '../../lib/fastify.js';

export const served = async () => 'served';

/** A Fastify until the test ends. */
export function createFastify(t, options) {
  const fastify = Fastify({ forceCloseConnections: true, ...options });
  t.after(() => fastify.close());
  return fastify;
}

/** A Fastify behind a guard, with the route `/`. `declare` runs before the plugin is registered. */
export function createGuarded(t, options, { declare = () => {}, ...fastifyOptions } = {}) {
  const fastify = createFastify(t, fastifyOptions);
  declare(fastify);
  fastify.register(sluice, options);
  fastify.get('/', served);
  return fastify;
}

/** Listens on a free loopback port and returns it. */
export async function listenOn(fastify) {
  await fastify.listen({ port: 0, host: '127.0.0.1' });
  return fastify.server.address().port;
}

/** The statuses of injected requests, in order. */
export async function injectAll(fastify, ...requests) {
  const statuses = [];
  for (const request of requests) statuses.push((await fastify.inject(request)).statusCode);
  return statuses;
}

/** The statuses of `count` injections of one request. */
export function injectTimes(count, fastify, request) {
  return injectAll(fastify, ...Array(count).fill(request));
}
