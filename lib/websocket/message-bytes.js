'use strict';

/** The bytes of a message as `ws` or Engine.IO passes it: a Buffer, an ArrayBuffer, fragments, a Blob or a text. */
function bytesOf(data) {
  if (typeof data === 'string') return Buffer.byteLength(data);
  if (Array.isArray(data)) return data.reduce((sum, part) => sum + part.length, 0);
  return data?.byteLength ?? data?.size ?? 0;
}

module.exports = { bytesOf };
