'use strict';

const http = require('node:http');
const https = require('node:https');
const { EventReader } = require('./event-reader');
const { EXIT, Failure } = require('./failure');
const { printable } = require('./text');

/** How long a whole answer may take: a thread that is busy answers late. */
const ANSWER_MS = 10_000;
/** A stream has a snapshot each second. */
const SILENCE_MS = 15_000;
const MOST_BYTES = 64 * 1024 * 1024;
const MOST_SENTENCE = 2_000;

const CREDENTIALS =
  'give credentials with --header or in the environment variable SLUICE_HEADER, never in the url';

/** The dashboard's interface of one server: at a socket of this machine, or at a url. */
class Endpoint {
  #where;
  #options;
  #headers;
  #base;

  /** `where` is what messages call it. `options` says where to connect to, `base` is the path of the dashboard. */
  constructor(where, options, { base = '', headers = {} } = {}) {
    this.#where = where;
    this.#options = options;
    this.#base = base;
    this.#headers = headers;
  }

  get where() {
    return this.#where;
  }

  /** What there is to see now. */
  async snapshot() {
    const snapshot = await this.#json('GET', '/snapshot');
    if (typeof snapshot?.at === 'number' && Array.isArray(snapshot.guards)) return snapshot;
    throw new Failure(`${this.#where} is no dashboard of sluice`);
  }

  client(client) {
    return this.#json('POST', '/client', { client });
  }

  act(action) {
    return this.#json('POST', '/action', action);
  }

  /**
   * Calls `onEvent(name, data)` for each event until the stream ends. Then it resolves with the reason, as a part of a
   * sentence; it rejects where there is no stream.
   */
  async stream(onEvent, signal) {
    const response = await this.#send('GET', '/events', undefined, signal);
    if (response.statusCode !== 200) throw await this.#refusal(response);
    const reader = new EventReader(onEvent);
    response.setTimeout(SILENCE_MS, () => response.destroy(new Error('it sent nothing for 15 s')));
    try {
      for await (const chunk of response) reader.add(chunk);
      return 'the server ended the connection';
    } catch (error) {
      return reasonOf(error);
    } finally {
      response.destroy();
    }
  }

  /** Whether the server, rather than the system, decides which requests it answers. */
  get #isRemote() {
    return this.#options.socketPath === undefined;
  }

  async #json(method, place, body) {
    const signal = AbortSignal.timeout(ANSWER_MS);
    try {
      const response = await this.#send(method, place, body, signal);
      if (response.statusCode !== 200) throw await this.#refusal(response);
      return this.#parsed(await textOf(response, MOST_BYTES));
    } catch (error) {
      if (error instanceof Failure) throw error;
      if (!signal.aborted) throw this.#unreachable(error);
      throw new Failure(`${this.#where} did not answer within 10 s: the thread that answers may be busy`);
    }
  }

  #send(method, place, body, signal) {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { request } = this.#options.protocol === 'https:' ? https : http;
    return new Promise((resolve, reject) => {
      const sent = request({
        ...this.#options,
        method,
        path: `${this.#base}${place}`,
        headers: { ...(text === undefined ? {} : postHeaders(text)), ...this.#headers },
        agent: false,
        signal,
      });
      sent.once('response', resolve);
      sent.once('error', (error) => reject(signal?.aborted ? error : this.#unreachable(error)));
      sent.end(text);
    });
  }

  #parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      throw new Failure(
        `${this.#where} answered with something else than JSON: it is no dashboard of sluice`,
      );
    }
  }

  /** Why the server did not do what it was asked, in its words. */
  async #refusal(response) {
    const { statusCode: status, headers } = response;
    if (status >= 300 && status < 400) {
      response.destroy();
      return new Failure(`${this.#where} redirects to ${printable(headers.location)}; give that url`);
    }
    const text = await textOf(response, MOST_SENTENCE);
    const { code, error } = faultIn(text);
    const hint = [401, 403].includes(status) && this.#isRemote ? `; ${CREDENTIALS}` : '';
    const said = error ?? text.split('\n', 1)[0];
    const exitCode = /^ERR_SLUICE_INVALID_/.test(code) ? EXIT.usage : EXIT.failure;
    const failure = new Failure(`${this.#where} answered ${status}: ${printable(said)}${hint}`, exitCode);
    return Object.assign(failure, { status });
  }

  #unreachable(error) {
    if (error instanceof Failure) return error;
    return new Failure(`${this.#where} cannot be reached: ${reasonOf(error)}`);
  }
}

/** What the dashboard's page sends, so that the server knows that no other site did. */
function postHeaders(text) {
  return {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-sluice-dashboard': '1',
    'sec-fetch-site': 'same-origin',
  };
}

async function textOf(response, most) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes > most) break;
  }
  const text = Buffer.concat(chunks).toString();
  if (bytes <= most || most === MOST_SENTENCE) return text;
  throw new Error(`the answer has more than ${most} bytes`);
}

function faultIn(text) {
  try {
    const { code, error } = JSON.parse(text);
    return { code, error };
  } catch {
    return {};
  }
}

function reasonOf(error) {
  if (error.code === 'ECONNRESET') return 'the connection was reset (ECONNRESET)';
  return printable(error.message || error.code);
}

module.exports = { Endpoint };
