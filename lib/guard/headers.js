'use strict';

const { seconds } = require('../problem');
const { kPolicies } = require('../rate-limiter');
const { quoted } = require('./structured-field');

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
  #quotedNames;

  constructor(limiter) {
    this.#limiter = limiter;
    this.#refresh();
  }

  write(response, decision, follows) {
    this.#refresh();
    const add = follows ? append : set;
    const name = this.#quotedNames.get(decision.policy) ?? quoted(decision.policy);
    add(response, 'RateLimit-Policy', this.#listFor(decision));
    add(response, 'RateLimit', `${name};r=${decision.remaining};t=${seconds(decision.moreAfterMs)}`);
  }

  /** The quota told is the one decided by, also where it is a function of the request. */
  #listFor({ limit }) {
    const [policy, ...others] = this.#policies;
    if (others.length > 0 || policy.limit === limit) return this.#policyList;
    return policyItem({ ...policy, limit });
  }

  #refresh() {
    const policies = this.#limiter[kPolicies]();
    if (policies === this.#policies) return;
    this.#policies = policies;
    this.#policyList = policies.map(policyItem).join(', ');
    this.#quotedNames = new Map(policies.map(({ name }) => [name, quoted(name)]));
  }
}

function set(response, field, items) {
  response.header(field, items);
}

function append(response, field, items) {
  const before = response.getHeader(field);
  set(response, field, before === undefined ? items : `${before}, ${items}`);
}

/** The older, unstandardised triple. It has room for one policy; `Reset` counts seconds from now. */
class LegacyHeaders {
  write(response, { limit, remaining, resetAfterMs }) {
    response.header('X-RateLimit-Limit', String(limit));
    response.header('X-RateLimit-Remaining', String(remaining));
    response.header('X-RateLimit-Reset', String(seconds(resetAfterMs)));
  }
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

module.exports = { headersFor };
