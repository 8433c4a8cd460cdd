'use strict';

const { SluiceError } = require('../runtime/errors');
const { FLEET_ANSWER, FLEET_ANSWER_KIND } = require('../runtime/layouts');
const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { makeCall, withdraw } = require('../rate-limiter/fleet/desk');
const { scopeOption } = require('../rate-limiter/fleet/scope');
require('../rate-limiter/fleet/differences');

/** For `awaitBans`, which asks for nothing. */
const NO_OPERATION = 0;

/** A scope as `scopeOption` returns it; of the fleet, with the `description` that reputations agree in. */
function banScope(value, option) {
  const scope = scopeOption(value, option);
  if (scope.native === undefined) return scope;
  return { native: scope.native, description: native.describeBanScope(scope.native) };
}

/** Checked options as native code takes them: of the scope, only what has to agree, in words. */
function withScopeInWords(checked) {
  const scope = checked?.scope;
  return typeof scope === 'object' ? owned(checked, { scope: scope.description }) : checked;
}

/** Resolves once all bans of the other processes are known here; rejects after so many milliseconds, or once it is destroyed. */
function bansAreKnown(handle, timeoutMs) {
  return /** @type {Promise<void>} */ (
    new Promise((resolve, reject) => {
      let ticket;
      const timer = setTimeout(() => {
        const error = unavailable(handle, timeoutMs);
        withdraw(ticket, handle, native.withdrawAwaitBans);
        reject(error);
      }, timeoutMs);
      const call = {
        settle(answers, at) {
          clearTimeout(timer);
          if (answers[at + FLEET_ANSWER.KIND] === FLEET_ANSWER_KIND.ready) resolve();
          else reject(new SluiceError('CLOSED', 'the reputation was destroyed, and shares no bans any more'));
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      };
      try {
        ticket = makeCall(call, handle, NO_OPERATION, native.awaitBans);
      } catch (error) {
        call.reject(error);
      }
    })
  );
}

function unavailable(handle, timeoutMs) {
  const { server, lastError } = native.fleetBansStats(handle) ?? {};
  const why = lastError === undefined ? '' : `: ${lastError}`;
  return new SluiceError(
    'SCOPE_UNAVAILABLE',
    `the bans on Redis at ${server} are not known within ${timeoutMs} ms${why}`,
  );
}

/** What the sharing of bans has done; undefined where they are not shared. */
function sharingStats(handle) {
  const stats = native.fleetBansStats(handle);
  if (stats === null || stats === undefined) return undefined;
  return { ...stats, version: stats.version ?? null, lastError: stats.lastError ?? null };
}

module.exports = { banScope, bansAreKnown, sharingStats, withScopeInWords };
