'use strict';

const { seconds } = require('../http/problem');
const { kPolicies } = require('../rate-limiter/symbols');
const { QuotaTexts } = require('./quota-texts');
const { quoted } = require('./structured-field');

/** The fields in their usual case. */
const MIXED_CASE = {
  policy: 'RateLimit-Policy',
  quota: 'RateLimit',
  legacyLimit: 'X-RateLimit-Limit',
  legacyRemaining: 'X-RateLimit-Remaining',
  legacyReset: 'X-RateLimit-Reset',
};
/** The fields in lower case, which Fastify need not convert with each answer. */
const LOWER_CASE = {
  policy: 'ratelimit-policy',
  quota: 'ratelimit',
  legacyLimit: 'x-ratelimit-limit',
  legacyRemaining: 'x-ratelimit-remaining',
  legacyReset: 'x-ratelimit-reset',
};

/** `w` takes whole seconds only: any other window is left out rather than rounded. */
function policyItem({ name, limit, windowMs }) {
  const window = windowMs % 1000 === 0 ? `;w=${windowMs / 1000}` : '';
  return `${quoted(name)};q=${limit}${window}`;
}

/**
 * `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-08; 09 to 11 have the same syntax. Texts of
 * policies are cached until a thread changes the limiter's policies.
 */
class Draft8Headers {
  /** Whether answers to admitted requests have headers too. */
  onAllowed;
  #limiter;
  #policies;
  #policyList;
  /** The single policy; null where there are several. */
  #only;
  /** The values of `RateLimit` by the policies' names. */
  #quotas;

  constructor(limiter, { onAllowed }) {
    this.onAllowed = onAllowed;
    this.#limiter = limiter;
    this.#refresh();
  }

  /** `policyOnce` says whether this answer has `RateLimit-Policy`; null where every answer has it. */
  write(response, decision, { follows, names }, policyOnce) {
    this.#refresh();
    const add = follows ? append : set;
    const policies = this.#listFor(decision.limit);
    if (policyOnce === null || policyOnce.shows(this.#limiter, policies)) {
      add(response, names.policy, policies);
    }
    add(response, names.quota, this.#quotaOf(decision));
  }

  /** Shows the limit that decided, also where it is a function of the request. */
  #listFor(limit) {
    const only = this.#only;
    return only === null || only.limit === limit ? this.#policyList : policyItem({ ...only, limit });
  }

  #quotaOf({ policy, remaining, moreAfterMs }) {
    const quotas = this.#quotas.get(policy) ?? new QuotaTexts(beginning(policy));
    return quotas.textOf(remaining, seconds(moreAfterMs));
  }

  #refresh() {
    const policies = this.#limiter[kPolicies]();
    if (policies === this.#policies) return;
    this.#policies = policies;
    this.#policyList = policies.map(policyItem).join(', ');
    this.#only = policies.length === 1 ? policies[0] : null;
    this.#quotas = new Map(policies.map(({ name }) => [name, new QuotaTexts(beginning(name))]));
  }
}

/** One policy of a list: its quoted name and its parameters. */
const ITEM = /"(?:[^"\\]|\\.)*"[^,]*/g;

/** The beginning of a policy's item in `RateLimit`, up to what remains. */
function beginning(policy) {
  return `${quoted(policy)};r=`;
}

function set(response, field, items) {
  response.header(field, items);
}

/** Adds items to a field; an item that another guard wrote for the same policy is replaced. */
function append(response, field, items) {
  const before = String(response.getHeader(field) ?? '').match(ITEM) ?? [];
  const added = new Set(items.match(ITEM).map(policyOf));
  const kept = before.filter((item) => !added.has(policyOf(item)));
  set(response, field, [...kept, items].join(', '));
}

function policyOf(item) {
  return item.slice(0, item.lastIndexOf('"') + 1);
}

/**
 * The older, unstandardised triple. It shows one policy: of several guards that of the binding one, which refuses, or else
 * has the least remaining. `Reset` counts seconds from now.
 */
class LegacyHeaders {
  onAllowed = true;

  write(response, decision, { follows, names }) {
    if (follows && decision.allowed && bindsMore(response, names, decision)) return;
    const { limit, remaining, resetAfterMs } = decision;
    response.header(names.legacyLimit, String(limit));
    response.header(names.legacyRemaining, String(remaining));
    response.header(names.legacyReset, String(seconds(resetAfterMs)));
  }
}

/** Whether the headers of another guard bind more than `decision`; of equals, the one that resets later binds. */
function bindsMore(response, names, { remaining, resetAfterMs }) {
  const written = response.getHeader(names.legacyRemaining);
  if (written === undefined) return false;
  if (Number(written) !== remaining) return Number(written) < remaining;
  return Number(response.getHeader(names.legacyReset)) >= seconds(resetAfterMs);
}

class NoHeaders {
  onAllowed = false;

  write() {}
}

/**
 * The writer for one limiter. `response` has `header(name, value)` and `getHeader(name)`: Express's response or Fastify's
 * reply. With `follows`, headers of another guard on the same request are kept and added to.
 */
function headersFor(format, limiter) {
  switch (format) {
    case 'draft-8':
    case 'refused':
      return new Draft8Headers(limiter, { onAllowed: format === 'draft-8' });
    case 'legacy':
      return new LegacyHeaders();
    default:
      return new NoHeaders();
  }
}

/** How headers are written for one spelling of the fields' names, by whether another guard wrote headers before. */
function waysFor(names) {
  const ways = [false, true].map((follows) => Object.freeze({ follows, names }));
  return (follows) => ways[follows ? 1 : 0];
}

const mixedCase = waysFor(MIXED_CASE);
const lowerCase = waysFor(LOWER_CASE);

module.exports = { headersFor, lowerCase, mixedCase };
