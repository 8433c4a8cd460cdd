'use strict';

/** A header that a page of another site cannot send without asking first. */
const HEADER = 'x-sluice-dashboard';

/**
 * Why a POST is not from the dashboard's own page, as a sentence; null where it is. Pages of other sites can make a browser
 * send requests with its cookies, but can neither set this header nor have their origin hidden.
 */
function crossSiteRefusal({ headers }, host, allowedOrigins) {
  if (!isJson(headers['content-type'])) return 'Send application/json.';
  if (headers[HEADER] !== '1') return `Send the header ${HEADER}: 1.`;
  const origin = headers.origin;
  if (allowedOrigins.includes(origin)) return null;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' ? null : 'The request comes from another site.';
  return isOriginOf(origin, host) ? null : 'The request does not come from this page.';
}

function isJson(type) {
  return typeof type === 'string' && /^application\/json\s*(?:;|$)/i.test(type);
}

function isOriginOf(origin, host) {
  if (typeof origin !== 'string' || typeof host !== 'string') return false;
  try {
    const { protocol, host: ofOrigin } = new URL(origin);
    // Both without the default port of the origin's protocol.
    return ofOrigin === new URL(`${protocol}//${host}`).host;
  } catch {
    return false;
  }
}

module.exports = { HEADER, crossSiteRefusal };
