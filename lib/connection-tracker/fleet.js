'use strict';

const { SluiceError } = require('../runtime/errors');
const { CONNECTION_REFUSALS, FLEET_ANSWER, FLEET_ANSWER_KIND } = require('../runtime/layouts');
const { native, onProcess } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { makeCall, withdraw } = require('../rate-limiter/fleet/desk');
const { warnOfEviction } = require('../rate-limiter/fleet/eviction');
const { scopeOption } = require('../rate-limiter/fleet/scope');
require('../rate-limiter/fleet/differences');

const { CODE, KIND, POLICY, RECEIPT_AT } = FLEET_ANSWER;

/** For calls that ask for a place. */
const NO_OPERATION = 0;

/** The options that refuse, in the order of their codes. */
const reasons = Object.keys(CONNECTION_REFUSALS);

/** How long what a process holds counts, in place of 30 s; for tests. */
const lease = { ms: undefined };

/** How often a test has emptied everything: trackers may have another scope since. */
let resets = 0;

onProcess('reset', () => {
  resets += 1;
});

/** A scope as `scopeOption` returns it; of the fleet, with the `description` that trackers of one name agree in. */
function trackerScope(value, option) {
  const scope = scopeOption(value, option);
  if (scope.native === undefined) return scope;
  return { native: scope.native, description: native.describeConnectionScope(scope.native) };
}

/** Checked options as native code takes them: of the scope, only what has to agree, in words. */
function withScopeInWords(checked) {
  const scope = checked?.scope;
  return scope?.native === undefined ? checked : owned(checked, { scope: scope.description });
}

/** What the machines of a fleet count together of one tracker, as this thread asks for it. */
class FleetPlaces {
  #name;
  #handle;
  #isShared;
  #knowsServer = false;

  constructor(name, handle) {
    this.#name = name;
    this.#handle = handle;
    this.#isShared = native.connectionsAreShared(handle);
  }

  /** Whether a server is asked before a connection opens. */
  get isAsked() {
    return resets === 0 ? this.#isShared : native.connectionsAreShared(this.#handle);
  }

  /** Throws where a call would have to wait for the server. */
  checkSync(method) {
    if (!this.isAsked) return;
    throw new SluiceError(
      'UNSUPPORTED',
      `${method}: a synchronous call cannot await Redis, where ConnectionTracker "${this.#name}" counts; accepted: ${method}Async`,
    );
  }

  /**
   * Resolves to `{ place, reason }`, one of them undefined. Without `inTotal`, for a connection that is counted already and
   * begins to count for the client.
   */
  ask(client, inTotal) {
    return new Promise((resolve, reject) => {
      const settle = (answers, at) => {
        const kind = answers[at + KIND];
        if (kind === FLEET_ANSWER_KIND.granted) {
          this.#knowServer();
          resolve({ place: { number: answers[at + RECEIPT_AT], source: answers[at + CODE] } });
        } else if (kind === FLEET_ANSWER_KIND.noPlace) {
          resolve({ reason: reasons[answers[at + POLICY]] ?? 'unavailable' });
        } else {
          reject(new SluiceError('CLOSED', `ConnectionTracker "${this.#name}" was destroyed`));
        }
      };
      makeCall({ settle, reject }, this.#handle, NO_OPERATION, () =>
        Number(native.askForPlace(client, inTotal)),
      );
    });
  }

  /** A place for a connection that is open already, without asking; the caps of this process apply. */
  take(client, inTotal) {
    return this.isAsked ? (native.takePlace(this.#handle, client, inTotal) ?? undefined) : undefined;
  }

  /** Resolves once the server answers; rejects after so many milliseconds, or once the tracker is destroyed. */
  ready(timeoutMs) {
    return /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        let ticket;
        const timer = setTimeout(() => {
          const error = this.#unavailable(timeoutMs);
          withdraw(ticket, this.#handle, () => Number(native.withdrawAwaitPlaces()));
          reject(error);
        }, timeoutMs);
        const settle = (answers, at) => {
          clearTimeout(timer);
          if (answers[at + KIND] === FLEET_ANSWER_KIND.ready) resolve();
          else reject(new SluiceError('CLOSED', `ConnectionTracker "${this.#name}" was destroyed`));
        };
        const failed = (error) => {
          clearTimeout(timer);
          reject(error);
        };
        try {
          const ask = () => Number(native.awaitPlaces());
          ticket = makeCall({ settle, reject: failed }, this.#handle, NO_OPERATION, ask);
        } catch (error) {
          failed(error);
        }
      })
    );
  }

  /** What was done at the server; undefined where none is asked. */
  stats() {
    const stats = native.fleetConnectionsStats(this.#handle);
    if (stats === null || stats === undefined) return undefined;
    const { failures } = stats;
    return {
      ...stats,
      timeouts: failures.timeout,
      errors: failures.refused + failures.foreign,
      latencyMs: stats.latencyMs ?? null,
      version: stats.version ?? null,
      evictionPolicy: stats.evictionPolicy ?? null,
      lastError: stats.lastError ?? null,
    };
  }

  /** Looks at the server once it has decided: what it does when its memory is full is known then. */
  #knowServer() {
    if (this.#knowsServer) return;
    this.#knowsServer = true;
    const stats = native.fleetConnectionsStats(this.#handle);
    if (stats !== null && stats !== undefined) warnOfEviction(stats);
  }

  #unavailable(timeoutMs) {
    const { server, lastError } = native.fleetConnectionsStats(this.#handle) ?? {};
    const why = lastError === undefined || lastError === null ? '' : `: ${lastError}`;
    return new SluiceError(
      'SCOPE_UNAVAILABLE',
      `Redis at ${server} does not answer within ${timeoutMs} ms${why}`,
    );
  }
}

module.exports = { FleetPlaces, lease, trackerScope, withScopeInWords };
