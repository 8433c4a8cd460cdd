'use strict';

const { SluiceError } = require('../runtime/errors');
const { owned } = require('../runtime/schema');

const ACCEPTED =
  'a request of HTTP, or a GraphQL context with `req`; @SkipSluice() lets the others pass. Messages of a WebSocket ' +
  'gateway are limited by sluice/ws or sluice/socket.io';

/** Where drivers of GraphQL put the request and the response, or Fastify's reply. */
const REQUESTS = ['req', 'request'];
const RESPONSES = ['res', 'response', 'reply'];

/**
 * The request and the response behind an execution context, of Express or Fastify. The response of GraphQL may be
 * undefined.
 *
 * @throws {SluiceError} `UNSUPPORTED` where there is no request.
 */
function exchangeOf(context) {
  const type = context.getType();
  if (type === 'http') {
    const http = context.switchToHttp();
    return { request: http.getRequest(), response: http.getResponse() };
  }
  const found = type === 'graphql' ? ofGraphql(context.getArgByIndex(2) ?? {}) : undefined;
  if (found?.request?.headers === undefined) throw unsupported(type, context);
  return found;
}

function ofGraphql(context) {
  const first = (names) => names.map((name) => context[name]).find((value) => value !== undefined);
  const response = first(RESPONSES);
  const request = first(REQUESTS) ?? response?.request;
  return { request, response: response ?? request?.res };
}

function unsupported(type, context) {
  const place = `${context.getClass().name}.${context.getHandler().name}`;
  return new SluiceError(
    'UNSUPPORTED',
    `SluiceGuard is given no request by ${place} (${type}); accepted: ${ACCEPTED}`,
  );
}

/** Functions among options of a guard or a route. */
const FUNCTIONS = ['key', 'cost', 'skip', 'priority'];

/** The options with functions that are called with a context, of functions that take `(request, context)`. */
function byContext(options) {
  const wrapped = owned(options);
  for (const name of FUNCTIONS) {
    if (typeof wrapped[name] === 'function') wrapped[name] = withRequest(wrapped[name]);
  }
  const { rateLimit } = wrapped;
  if (typeof rateLimit !== 'object' || rateLimit === null) return wrapped;
  const limit = owned(rateLimit);
  if (typeof limit.limit === 'function') limit.limit = withRequest(limit.limit);
  wrapped.rateLimit = limit;
  return wrapped;
}

function withRequest(fn) {
  return (context) => fn(exchangeOf(context).request, context);
}

module.exports = { byContext, exchangeOf };
