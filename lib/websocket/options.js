'use strict';

const { SOCKET_GUARD } = require('../guard/guard-options');
const { invalidOption } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const { checkOptions, duration, integer, object, owned, quota } = require('../runtime/schema');

/** "Policy violation" of RFC 6455: the usual code of a quota. */
const POLICY_VIOLATION = 1008;
const TRY_AGAIN_LATER = 1013;

/** Codes that RFC 6455 leaves to applications. */
const FIRST_PRIVATE = 4000;
const LAST_PRIVATE = 4999;

const SESSIONS = {
  max: integer(1),
  maxPerClient: integer(1),
  opens: quota,
  idleTimeout: duration,
  // The tracker checks it.
  scope: (value) => value,
  onMismatch,
};
const sessions = object(SESSIONS, []);

/** The options of what is counted over all sockets of a client, or `false`. */
const orFalse = (check) => (value, option) => (value === false ? undefined : check(value, option));

/** The limiter checks what is inside. */
const limiter = (value, option) => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return owned(value);
  throw invalidOption(option, value, 'an object of options of a RateLimiter, or false');
};

const onLimit = (value, option) => {
  if (value === 'close' || value === 'drop' || typeof value === 'function') return value;
  throw invalidOption(option, value, '"close", "drop", or a function');
};

const closeCode = (value, option) => {
  const isPrivate = Number.isInteger(value) && value >= FIRST_PRIVATE && value <= LAST_PRIVATE;
  if (isPrivate || value === POLICY_VIOLATION || value === TRY_AGAIN_LATER) return value;
  throw invalidOption(
    option,
    value,
    `${POLICY_VIOLATION}, ${TRY_AGAIN_LATER}, or an integer from ${FIRST_PRIVATE} to ${LAST_PRIVATE}`,
  );
};

const QUOTAS = {
  connections: orFalse(sessions),
  messages: orFalse(limiter),
  bytes: orFalse(limiter),
  onLimit,
};
/** Socket.IO's protocol has no close codes. */
const OWN = {
  'sluice/ws': { ...QUOTAS, closeCode },
  'sluice/socket.io': QUOTAS,
};

const DEFAULTS = { onLimit: 'close', closeCode: POLICY_VIOLATION };

/** The options for the guard, which checks them, and those of the sockets, checked. */
function socketOptions(owner, options = {}) {
  const own = OWN[owner];
  const checked = checkOptions(owner, options, { ...SOCKET_GUARD, ...own });
  const guard = owned(options);
  const sockets = owned(DEFAULTS);
  for (const name of Object.keys(own)) {
    delete guard[name];
    if (checked[name] !== undefined) sockets[name] = checked[name];
  }
  return { guard, sockets };
}

module.exports = { POLICY_VIOLATION, socketOptions };
