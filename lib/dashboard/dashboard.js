'use strict';

const { addressOfRequest } = require('../http/remote-address');
const { startObservation } = require('../observation');
const { CHANNELS, publish } = require('../observation/channels');
const { clientReport } = require('../observation/client-report');
const { note } = require('../observation/journal');
const { namesIn } = require('../observation/scope');
const { shownBy } = require('../observation/shown-keys');
const { Snapshots } = require('../observation/snapshot');
const { SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { measure } = require('../runtime/measured');
const { warnOfThrow, warningInstead } = require('../runtime/warn-of-throw');
const { hostOf, refusalOf } = require('./access');
const { act } = require('./actions');
const { crossSiteRefusal } = require('./cross-site');
const { keyOf } = require('./keys');
const { mountedHandler } = require('./mounted-handler');
const { sendFile, sendJson, sendSentence } = require('./page');
const { readBody } = require('./request-body');
const { Viewers } = require('./viewers');

const READ_ONLY = 'This dashboard is read-only; the option readOnly: false allows actions.';

/** Seconds of history in a single snapshot. */
const RECENT_S = 60;

/** A page about one guard or all of them, and what it asks the server. */
class Dashboard {
  #guard;
  #options;
  #facts;
  #snapshots;
  #viewers;
  #onAction;

  /** `guard` is the name of one guard; `undefined` for all guards and components. */
  constructor(guard, options) {
    startObservation();
    measure('calls');
    this.#guard = guard;
    this.#options = options;
    this.#snapshots = new Snapshots(guard, shownBy(options.showKey));
    const { maxViewers, authorize, readOnly, title = guard ?? 'sluice', onAction } = options;
    this.#facts = { title, readOnly, isAll: guard === undefined };
    this.#viewers = new Viewers({
      snapshots: this.#snapshots,
      maxViewers,
      authorize,
      facts: this.#facts,
    });
    this.#onAction =
      onAction &&
      warningInstead(
        'SLUICE_FUNCTION_THREW',
        'onAction of the dashboard',
        'the action was carried out',
        onAction,
      );
  }

  handler() {
    return mountedHandler((req, res, place) => this.#answer(req, res, place), {
      path: this.#options.path,
      onOpen: () => this.#viewers.begin(),
      onClose: () => this.#viewers.endAll(),
    });
  }

  /** Answers a request for a place below the mount. Never rejects. */
  async #answer(req, res, place) {
    try {
      const why = await refusalOf(req, this.#options.authorize);
      if (why !== null) return sendSentence(req, res, 403, why);
      const isRead = req.method === 'GET' || req.method === 'HEAD';
      if (place === '/events') return this.#stream(req, res);
      if (place === '/client' || place === '/action') return await this.#post(req, res, place);
      if (isRead) return place === '/snapshot' ? this.#once(req, res) : sendFile(req, res, place);
      sendSentence(req, res, 405, 'Send GET.', { Allow: 'GET, HEAD' });
    } catch (error) {
      warnOfThrow('SLUICE_FUNCTION_THREW', 'the dashboard', 'the request is answered with 500', error);
      if (res.headersSent) res.destroy();
      else sendSentence(req, res, 500, 'An internal error; the server has warned of it.');
    }
  }

  #stream(req, res) {
    if (req.method !== 'GET') return sendSentence(req, res, 405, 'Send GET.', { Allow: 'GET' });
    this.#viewers.add(req, res);
  }

  /** Answers with what there is to see now, and the last minute. */
  #once(req, res) {
    const since = Math.floor(native.clockNow() / 1000) - RECENT_S;
    sendJson(req, res, 200, {
      ...this.#facts,
      ...this.#snapshots.take(),
      history: this.#snapshots.history(since),
    });
  }

  async #post(req, res, place) {
    if (req.method !== 'POST') return sendSentence(req, res, 405, 'Send POST.', { Allow: 'POST' });
    const why = crossSiteRefusal(req, hostOf(req), this.#options.allowedOrigins);
    if (why !== null) return sendSentence(req, res, 403, why);
    if (place === '/action' && this.#options.readOnly) {
      return sendSentence(req, res, 403, this.#options.whyReadOnly ?? READ_ONLY);
    }
    const { body, status, why: fault } = await readBody(req);
    if (body === undefined) {
      // The rest of the body is not read. HTTP/2 has no such header.
      const headers = req.httpVersionMajor < 2 ? { Connection: 'close' } : {};
      return sendSentence(req, res, status, fault, headers);
    }
    if (place === '/client') return await this.#client(req, res, body);
    await this.#act(req, res, body);
  }

  async #client(req, res, { client }) {
    try {
      const key = keyOf(client, namesIn(this.#guard));
      sendJson(req, res, 200, await clientReport(key, this.#guard, this.#snapshots));
    } catch (error) {
      sendFault(req, res, error);
    }
  }

  async #act(req, res, body) {
    const user = await this.#userOf(req);
    try {
      const { client, ...done } = await act(body, this.#guard);
      this.#record({ type: 'action', ...done, client, user, at: Date.now() });
      sendJson(req, res, 200, { ...done, user });
    } catch (error) {
      sendFault(req, res, error);
    }
    this.#viewers.refresh();
  }

  #record(action) {
    note({ ...action, guard: this.#guard });
    publish(CHANNELS.dashboard.action, () => action);
    this.#onAction?.(action);
  }

  /** Without `user`, the address that the request comes from. */
  async #userOf(req) {
    const { user } = this.#options;
    const named = user === undefined ? addressOfRequest(req) : await user(req);
    return named === undefined || named === null ? 'unknown' : String(named).slice(0, 128);
  }
}

/** Mistakes of the page, and what meanwhile has gone, are the answer; anything else is an internal error. */
function sendFault(req, res, error) {
  if (!(error instanceof SluiceError)) throw error;
  const status = error.code === 'ERR_SLUICE_NOT_FOUND' ? 404 : 400;
  sendJson(req, res, status, { code: error.code, error: error.message });
}

module.exports = { Dashboard };
