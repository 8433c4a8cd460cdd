'use strict';

/** Statuses that Fastify's router answers with before any hook: an undecodable URL, and a parameter that is too long. */
const BAD_URL = 400;
const LONG_PARAMETER = 414;

const MEETS_ALL = { met() {} };

/**
 * Charges and records requests that Fastify's router answers itself, outside all hooks. They are seen only at the server,
 * after Fastify, which is too late to refuse them. `met(incoming)` marks a request for which a hook ran.
 */
function countUnmet(fastify, guard) {
  if (!isRoot(fastify) || typeof fastify.server?.on !== 'function') return MEETS_ALL;
  let latest;
  fastify.server.on('request', (incoming, response) => {
    if (incoming === latest || !isRoutersOwn(incoming, response)) return;
    // There is no Fastify request to call the user's functions with.
    guard.watch(guard.decide(incoming, incoming, guard.plainRule), incoming, response);
  });
  return {
    met(incoming) {
      latest = incoming;
    },
  };
}

/** What the router answers belongs to no inner scope. */
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
