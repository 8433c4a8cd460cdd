'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');
const { lowerCase } = require('./headers');
const { RouteRules } = require('./route-rules');

/** Rules of routes by guard, for the routes of any server. */
const rulesOf = new WeakMap();

/**
 * Decides on a request when the application asks, and charges it to the limiter of its route, or to the guard's where the
 * route has none. Headers are written onto `reply`; the application sends the answer.
 */
async function checkByHand(guard, request, reply) {
  const decision = await guard.decide(request, request.raw, ruleOf(guard, request));
  const follows = request.sluice !== null && request.sluice !== undefined;
  request.sluice = decision;
  guard.watch(decision, request.raw, reply.raw, { isWatched: follows });
  if (reply.sent) return decision;
  guard.writeHeaders(decision, reply, lowerCase(follows));
  if (!decision.allowed) reply.header('Content-Type', PROBLEM_MEDIA_TYPE);
  return decision;
}

function ruleOf(guard, request) {
  if (!rulesOf.has(guard)) rulesOf.set(guard, new RouteRules(guard, { sawAll: false }));
  const rule = rulesOf.get(guard).of(request);
  return rule.limiter === null ? guard.rule : rule;
}

/** Whether a response is a reply of Fastify, which has Node's response behind it. */
function isReply(response) {
  return response?.raw !== undefined && typeof response.header === 'function';
}

module.exports = { checkByHand, isReply };
