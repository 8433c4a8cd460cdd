'use strict';

/** What Fastify's router answers before any hook: a URL that cannot be decoded, and a parameter that is too long. */
const BAD_URL = 400;
const LONG_PARAMETER = 414;

const MEETS_ALL = { met() {} };

/**
 * Charges and records requests that Fastify's router answers by itself, outside all hooks. They can be seen at the server
 * only, once Fastify has looked at them, and too late to refuse them. `met(incoming)` says that a hook ran.
 */
function countUnmet(fastify, guard) {
  if (!isRoot(fastify) || typeof fastify.server?.on !== 'function') return MEETS_ALL;
  let latest;
  fastify.server.on('request', (incoming, response) => {
    if (incoming === latest || !isRoutersOwn(incoming, response)) return;
    // There is no request of Fastify's that the user's functions could be asked about.
    guard.watch(guard.decide(incoming, incoming, guard.plainRule), incoming, response);
  });
  return {
    met(incoming) {
      latest = incoming;
    },
  };
}

/** A scope's hooks do not see what the router answers, nor do its limits concern it. */
function isRoot(fastify) {
  return Object.hasOwn(fastify, 'server');
}

function isRoutersOwn(incoming, response) {
  if (!response.writableEnded) return isUndecodable(incoming.url);
  if (response.statusCode === LONG_PARAMETER) return true;
  return response.statusCode === BAD_URL && isUndecodable(incoming.url);
}

function isUndecodable(url) {
  if (!url.includes('%')) return false;
  try {
    decodeURI(url.split('?', 1)[0]);
    return false;
  } catch {
    return true;
  }
}

module.exports = { countUnmet };
