'use strict';

const { SluiceError } = require('../runtime/errors');

const SUPPORTED = '11';

/**
 * The application's own copy: wrappers of rate-limiter-flexible compare classes by identity. The index has no abstract class.
 */
function loadPeer() {
  const version = installedVersion();
  if (version?.split('.')[0] !== SUPPORTED) {
    const found = version === undefined ? 'is not installed' : `is version ${version}`;
    throw new SluiceError(
      'UNSUPPORTED_VERSION',
      `rate-limiter-flexible, which sluice/rate-limiter-flexible extends, ${found}; accepted: version ${SUPPORTED}`,
    );
  }
  return {
    RateLimiterAbstract: require('rate-limiter-flexible/lib/RateLimiterAbstract'),
    RateLimiterRes: require('rate-limiter-flexible/lib/RateLimiterRes'),
  };
}

function installedVersion() {
  try {
    return require('rate-limiter-flexible/package.json').version;
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

module.exports = { loadPeer };
