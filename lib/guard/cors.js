'use strict';

const { invalidOption } = require('../runtime/errors');
const { boolean, checkOptions, owned, strings } = require('../runtime/schema');

/** Headers of a refusal that scripts of other origins may read, by the format of the quota's headers. */
const DRAFT = ['Retry-After', 'RateLimit', 'RateLimit-Policy'];
const EXPOSED = {
  'draft-8': DRAFT,
  refused: DRAFT,
  legacy: ['Retry-After', 'X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'],
};

const ACCEPTED_ORIGIN =
  '"*", an origin such as "https://app.example", a RegExp, or an array of origins and RegExps';
const ORIGIN = /^(?:null|[a-z][a-z\d+.-]*:\/\/[^/?#\s]+)$/i;

const SCHEMA = { origin: originOption, credentials: boolean, exposedHeaders: strings };

/** `{ origin, credentials?, exposedHeaders? }`; `true` allows any origin. */
function corsOption(value, option) {
  if (value === false) return undefined;
  if (value === true) return owned({ origin: '*' });
  const checked = checkOptions(option, value, SCHEMA);
  const { origin, credentials } = checked;
  if (origin === undefined) throw invalidOption(`${option} origin`, origin, ACCEPTED_ORIGIN);
  if (origin === '*' && credentials) {
    throw invalidOption(
      `${option} credentials`,
      true,
      'false with origin "*": browsers refuse both together',
    );
  }
  return checked;
}

function originOption(value, option) {
  if (value === '*') return value;
  // A copy has no holes.
  const origins = Array.isArray(value) ? [...value] : [value];
  const isOne = (one) => one instanceof RegExp || (typeof one === 'string' && ORIGIN.test(one));
  if (origins.length > 0 && origins.every(isOne)) return origins;
  throw invalidOption(
    option,
    Array.isArray(value) ? origins.find((one) => !isOne(one)) : value,
    ACCEPTED_ORIGIN,
  );
}

/** Lets scripts of other origins read refusals, which are sent before the application's own CORS middleware runs. */
class Cors {
  #origin;
  #credentials;
  #exposed;

  /** Options as `corsOption` returns them; `headers` is the format of the quota's headers. */
  constructor({ origin, credentials = false, exposedHeaders }, headers) {
    this.#origin = origin;
    this.#credentials = credentials;
    this.#exposed = (exposedHeaders ?? EXPOSED[headers] ?? ['Retry-After']).join(', ');
  }

  /** Writes the CORS headers of the answer to `incoming`. Headers of the application stay. */
  write(response, incoming) {
    if (response.getHeader('Access-Control-Allow-Origin') !== undefined) return;
    if (this.#origin === '*') return this.#allow(response, '*');
    addVary(response);
    const { origin } = incoming.headers;
    if (origin !== undefined && this.#isAllowed(origin)) this.#allow(response, origin);
  }

  #allow(response, origin) {
    response.header('Access-Control-Allow-Origin', origin);
    if (this.#credentials) response.header('Access-Control-Allow-Credentials', 'true');
    if (this.#exposed !== '') response.header('Access-Control-Expose-Headers', this.#exposed);
  }

  #isAllowed(origin) {
    return this.#origin.some((one) => (typeof one === 'string' ? one === origin : origin.search(one) >= 0));
  }
}

/** Adds `Origin` to `Vary`: the answer depends on it. */
function addVary(response) {
  const before = response.getHeader('Vary');
  const fields =
    before === undefined
      ? []
      : [before]
          .flat()
          .join(', ')
          .split(/\s*,\s*/);
  if (fields.some((field) => field === '*' || field.toLowerCase() === 'origin')) return;
  response.header('Vary', [...fields, 'Origin'].join(', '));
}

module.exports = { Cors, corsOption };
