'use strict';

/**
 * Fields that describe the refused page or its caching: left on a refusal, they would make a CDN store it for all clients,
 * or a client misread it. Fields of CORS and security stay.
 */
const OF_THE_PAGE = new Set([
  'accept-ranges',
  'age',
  'cache-control',
  'cdn-cache-control',
  'cloudflare-cdn-cache-control',
  'content-digest',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'digest',
  'etag',
  'expires',
  'last-modified',
  'pragma',
  'repr-digest',
  'retry-after',
  'surrogate-control',
  'surrogate-key',
  'trailer',
  'transfer-encoding',
]);

/** Link relations that make a client load something for the page. */
const LOADING = /^(?:preload|modulepreload|prefetch|prerender|preconnect|dns-prefetch)$/i;
const LINK = /<[^>]*>(?:[^,"]|"(?:[^"\\]|\\.)*")*/g;
const REL = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i;

/** Removes the fields of the page from a response of Node or Express, or a reply of Fastify. */
function removePageHeaders(response) {
  // Of most refused requests. A reply of Fastify has no such method.
  if (response.getHeaderNames?.().length === 0) return;
  const headers = response.getHeaders?.() ?? {};
  for (const name of Object.keys(headers)) {
    if (OF_THE_PAGE.has(name.toLowerCase())) response.removeHeader(name);
  }
  if (headers.link !== undefined) keepOtherLinks(response, headers.link);
}

function keepOtherLinks(response, value) {
  const links = [value].flat().join(', ').match(LINK) ?? [];
  const kept = links.map((link) => link.trim()).filter((link) => !loads(link));
  response.removeHeader('link');
  if (kept.length > 0) set(response, 'link', kept.join(', '));
}

function loads(link) {
  const [, quoted, bare = ''] = REL.exec(link) ?? [];
  return (quoted ?? bare).split(/\s+/).some((relation) => LOADING.test(relation));
}

function set(response, name, value) {
  if (typeof response.setHeader === 'function') response.setHeader(name, value);
  else response.header(name, value);
}

module.exports = { removePageHeaders };
