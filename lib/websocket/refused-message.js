'use strict';

const { warnOfThrow } = require('../runtime/warn-of-throw');

/** Texts of reasons, after the last part of the type of their problems. */
const REASONS = { ban: 'abnormal-usage-detected', quota: 'quota-exceeded' };

/** The reason that a peer is told: at most 123 bytes, as RFC 6455 has it. */
function closeReason({ reason, retryAfterMs }) {
  const seconds = Math.ceil(retryAfterMs / 1000);
  return Number.isFinite(seconds) ? `${REASONS[reason]}; retry-after=${seconds}` : REASONS[reason];
}

/**
 * Does with a refused message what `onLimit` says. `close()` closes the socket. A banned client's socket is closed
 * whatever `onLimit` says, and so is one whose `onLimit` throws.
 */
function refuseMessage({ owner, guard, options: { onLimit } }, refusal, { close, tell }) {
  if (refusal.reason === 'ban' || onLimit === 'close') return close();
  if (onLimit === 'drop') return;
  const failed = (error) => {
    const what = `onLimit of ${owner} ${JSON.stringify(guard.name)}`;
    warnOfThrow('SLUICE_ON_LIMIT', what, 'such sockets are closed', error);
    close();
  };
  try {
    const result = tell(onLimit);
    if (typeof result?.then === 'function') Promise.resolve(result).catch(failed);
  } catch (error) {
    failed(error);
  }
}

module.exports = { closeReason, refuseMessage };
