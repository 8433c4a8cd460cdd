'use strict';

const { seconds } = require('../http/problem');
const { kPolicies } = require('../rate-limiter');
const { quoted } = require('./structured-field');

/** The fields as they are written. */
const MIXED_CASE = {
  policy: 'RateLimit-Policy',
  quota: 'RateLimit',
  legacyLimit: 'X-RateLimit-Limit',
  legacyRemaining: 'X-RateLimit-Remaining',
  legacyReset: 'X-RateLimit-Reset',
};
/** As Fastify sends them, which lowers each name again with each answer. */
const LOWER_CASE = {
  policy: 'ratelimit-policy',
  quota: 'ratelimit',
  legacyLimit: 'x-ratelimit-limit',
  legacyRemaining: 'x-ratelimit-remaining',
  legacyReset: 'x-ratelimit-reset',
};

/** `w` holds whole seconds only; a window that is none goes unsaid rather than rounded to a wrong one. */
function policyItem({ name, limit, windowMs }) {
  const window = windowMs % 1000 === 0 ? `;w=${windowMs / 1000}` : '';
  return `${quoted(name)};q=${limit}${window}`;
}

/**
 * `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-08 (the syntax of 09 to 11 as
 * well). The policy list is written once and again only when the limiter's policies change, in whatever
 * thread they did.
 */
class Draft8Headers {
  #limiter;
  #policies;
  #policyList;
  /** Of a single policy; null where there are several. */
  #only;
  /** By the policies' names. */
  #beginnings;

  constructor(limiter) {
    this.#limiter = limiter;
    this.#refresh();
  }

  write(response, decision, { follows, names }) {
    this.#refresh();
    const add = follows ? append : set;
    add(response, names.policy, this.#listFor(decision.limit));
    add(response, names.quota, this.#quotaOf(decision));
  }

  /** The quota told is the one decided by, also where it is a function of the request. */
  #listFor(limit) {
    const only = this.#only;
    return only === null || only.limit === limit ? this.#policyList : policyItem({ ...only, limit });
  }

  #quotaOf({ policy, remaining, moreAfterMs }) {
    const text = `${this.#beginnings.get(policy) ?? beginning(policy)}${remaining};t=${seconds(moreAfterMs)}`;
    // V8 now puts the parts together, for less than Node's check of the value would pay for it.
    text.charCodeAt(0);
    return text;
  }

  #refresh() {
    const policies = this.#limiter[kPolicies]();
    if (policies === this.#policies) return;
    this.#policies = policies;
    this.#policyList = policies.map(policyItem).join(', ');
    this.#only = policies.length === 1 ? policies[0] : null;
    this.#beginnings = new Map(policies.map(({ name }) => [name, beginning(name)]));
  }
}

/** One policy of a list: its quoted name and its parameters. */
const ITEM = /"(?:[^"\\]|\\.)*"[^,]*/g;

/** Of what is told about a policy: what remains comes next. */
function beginning(policy) {
  return `${quoted(policy)};r=`;
}

function set(response, field, items) {
  response.header(field, items);
}

/** A policy that was told before, by a decision on the same request, is told as it is now. */
function append(response, field, items) {
  const before = String(response.getHeader(field) ?? '').match(ITEM) ?? [];
  const told = new Set(items.match(ITEM).map(policyOf));
  const kept = before.filter((item) => !told.has(policyOf(item)));
  set(response, field, [...kept, items].join(', '));
}

function policyOf(item) {
  return item.slice(0, item.lastIndexOf('"') + 1);
}

/**
 * The older, unstandardised triple. It has room for one policy: of several guards that of the one that binds, which is the
 * one that refuses, or else has the least remaining. `Reset` counts seconds from now.
 */
class LegacyHeaders {
  write(response, decision, { follows, names }) {
    if (follows && decision.allowed && bindsMore(response, names, decision)) return;
    const { limit, remaining, resetAfterMs } = decision;
    response.header(names.legacyLimit, String(limit));
    response.header(names.legacyRemaining, String(remaining));
    response.header(names.legacyReset, String(seconds(resetAfterMs)));
  }
}

/** Whether what another guard has written says less than `decision` does; of equals, the one that resets later binds. */
function bindsMore(response, names, { remaining, resetAfterMs }) {
  const written = response.getHeader(names.legacyRemaining);
  if (written === undefined) return false;
  if (Number(written) !== remaining) return Number(written) < remaining;
  return Number(response.getHeader(names.legacyReset)) >= seconds(resetAfterMs);
}

class NoHeaders {
  write() {}
}

/**
 * The writer for one limiter. `response` is what has `header(name, value)` and `getHeader(name)`: Express's
 * response and Fastify's reply. What `follows` another guard's word on the same request is added to it.
 */
function headersFor(format, limiter) {
  if (format === 'draft-8') return new Draft8Headers(limiter);
  return format === 'legacy' ? new LegacyHeaders() : new NoHeaders();
}

module.exports = { LOWER_CASE, MIXED_CASE, headersFor };
