'use strict';

/**
 * `text` as a String of RFC 9651: printable ASCII in double quotes. Other characters are percent-encoded as UTF-8, so a name
 * in any script is a valid header value, and no name can end the string or the line.
 */
function quoted(text) {
  const ascii = text.replace(/[^\x20-\x7e]+/g, encodeURIComponent);
  return `"${ascii.replace(/["\\]/g, '\\$&')}"`;
}

module.exports = { quoted };
