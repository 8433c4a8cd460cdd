'use strict';

/** The headers of Node's own response, with the names of Express's `res` and Fastify's `reply`. */
class NodeHeaders {
  #response;

  constructor(response) {
    this.#response = response;
  }

  header(name, value) {
    this.#response.setHeader(name, value);
  }

  getHeader(name) {
    return this.#response.getHeader(name);
  }

  getHeaders() {
    return this.#response.getHeaders();
  }

  removeHeader(name) {
    this.#response.removeHeader(name);
  }
}

/** What headers are written onto: Express's response itself, which has `header`, or that of Node. */
function headersOf(response) {
  return typeof response.header === 'function' ? response : new NodeHeaders(response);
}

module.exports = { NodeHeaders, headersOf };
