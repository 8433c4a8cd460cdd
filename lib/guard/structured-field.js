'use strict';

/**
 * `text` as a String of RFC 9651: printable ASCII in double quotes. What that alphabet lacks is
 * percent-encoded as UTF-8, so a name in any script makes a header Node will send, and no name can end the
 * string or the line.
 */
function quoted(text) {
  const ascii = text.replace(/[^\x20-\x7e]+/g, encodeURIComponent);
  return `"${ascii.replace(/["\\]/g, '\\$&')}"`;
}

module.exports = { quoted };
