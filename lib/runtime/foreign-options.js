'use strict';

/**
 * What options of other limiters are called here: of express-rate-limit, @fastify/rate-limit, rate-limiter-flexible,
 * @nestjs/throttler, koa-ratelimit, limiter and opossum. Each has the options that take its place, of which a schema
 * has one, and what else its value needs.
 */
const TARGETS = {
  limit: ['limit', 'rateLimit.limit'],
  window: ['window', 'rateLimit.window'],
  skip: ['skip'],
};

const MS = 'in milliseconds, or a text such as "1m"';

const FOREIGN = {
  max: { to: TARGETS.limit },
  limit: { to: TARGETS.limit },
  points: { to: TARGETS.limit },
  requests: { to: TARGETS.limit },
  tokensPerInterval: { to: TARGETS.limit },
  window: { to: TARGETS.window },
  windowMs: { to: TARGETS.window },
  timeWindow: { to: TARGETS.window, note: MS },
  duration: { to: TARGETS.window, note: MS },
  ttl: { to: TARGETS.window, note: MS },
  interval: { to: TARGETS.window, note: MS },
  period: { to: TARGETS.window, note: MS },
  burst: { to: ['burst', 'rateLimit.burst'] },
  algorithm: { to: ['algorithm', 'rateLimit.algorithm'] },
  limits: { to: ['limits', 'rateLimit.limits'] },
  maxKeys: { to: ['maxKeys', 'rateLimit.maxKeys'] },
  overflow: { to: ['overflow', 'rateLimit.overflow'] },
  cache: { to: ['maxKeys', 'rateLimit.maxKeys'] },
  maxPerClient: { to: ['maxPerClient', 'connections.maxPerClient'] },
  keyGenerator: { to: ['key'] },
  getTracker: { to: ['key'] },
  keyPrefix: { to: ['name'] },
  nameSpace: { to: ['name'] },
  identifier: { to: ['name'] },
  groupId: { to: ['name'] },
  allowList: { to: TARGETS.skip, note: 'a function of the request' },
  whitelist: { to: TARGETS.skip, note: 'a function of the request' },
  skipIf: { to: TARGETS.skip },
  skipSuccessfulRequests: { to: ['countOnly'], note: 'with the value "failures"' },
  skipFailedRequests: { to: ['countOnly'], note: 'with the value "successes"' },
  standardHeaders: { to: ['headers'], note: 'with the value "draft-8" or false' },
  legacyHeaders: { to: ['headers'], note: 'with the value "legacy" or false' },
  enableDraftSpec: { to: ['headers'], note: 'with the value "draft-8"' },
  addHeaders: { to: ['headers'], note: '"draft-8", "legacy" or false' },
  message: { to: ['handler'] },
  statusCode: { to: ['handler'] },
  errorResponseBuilder: { to: ['handler'] },
  errorMessage: { to: ['handler'] },
  ban: { to: ['reputation'] },
  blacklist: { to: ['deny', 'reputation.deny'] },
  trustProxy: { to: ['trustedProxies'], note: 'an array of CIDR ranges' },
  redis: { to: ['scope'] },
  store: { to: ['scope'] },
  maxretry: { to: ['maxFailures'] },
  findtime: { to: ['findTime'] },
  bantime: { to: ['banTime'] },
  resetTimeout: { to: ['openFor'] },
  volumeThreshold: { to: ['minimumCalls'] },
  errorThresholdPercentage: { to: ['failureRate'], note: 'a share from 0 to 1' },
  rollingCountTimeout: { to: ['window'], note: 'as { time }' },
};

/** What the unknown among `given` options are called in `schema`, as the end of an error message; '' for none. */
function hintsFor(given, schema) {
  const hints = given.map((option) => hintFor(option, schema)).filter((hint) => hint !== undefined);
  return hints.length === 0 ? '' : `; ${hints.join(', ')}`;
}

function hintFor(option, schema) {
  if (Object.hasOwn(schema, option) || !Object.hasOwn(FOREIGN, option)) return undefined;
  const { to, note } = FOREIGN[option];
  const target = to.find((path) => path !== option && Object.hasOwn(schema, path.split('.', 1)[0]));
  if (target === undefined) return undefined;
  return `"${option}" is called ${target} here${note === undefined ? '' : `, ${note}`}`;
}

module.exports = { hintsFor };
