'use strict';

const MOST_BYTES = 16 * 1024;

/**
 * The JSON object in a request's body: `{ body }`, or `{ status, why }` for another body. A parser of the host may have read
 * it before.
 */
async function readBody(req) {
  if (Number(req.headers['content-length']) > MOST_BYTES) return tooLarge();
  if (req.readableEnded || isObject(req.body)) return objectOf(req.body);
  const chunks = [];
  let bytes = 0;
  try {
    for await (const chunk of req) {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) return tooLarge();
      chunks.push(chunk);
    }
    return objectOf(JSON.parse(Buffer.concat(chunks).toString()));
  } catch {
    return malformed();
  }
}

function objectOf(value) {
  return isObject(value) ? { body: value } : malformed();
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed() {
  return { status: 400, why: 'Send a JSON object.' };
}

function tooLarge() {
  return { status: 413, why: `Send at most ${MOST_BYTES} bytes.` };
}

module.exports = { readBody };
