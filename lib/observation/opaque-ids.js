'use strict';

const { createCipheriv, createDecipheriv, createHmac } = require('node:crypto');
const { secret } = require('./secret');

const CIPHER = 'aes-256-gcm';
const IV = 12;
const TAG = 16;
/** Ids that are kept, as sealing one again costs more. */
const MOST_KEPT = 10_000;

const sealed = new Map();

/**
 * An id by which a page names something, such as a client's key, without knowing it: sealed with the secret of the process,
 * so that any thread can open it. The same thing has the same id.
 */
function seal(thing) {
  const text = JSON.stringify(thing);
  const known = sealed.get(text);
  if (known !== undefined) return known;
  // Derived from the text: no two texts share one, and a text has one id.
  const iv = createHmac('sha256', secret()).update(text).digest().subarray(0, IV);
  const cipher = createCipheriv(CIPHER, secret(), iv);
  const bytes = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final()]);
  const id = Buffer.concat([bytes, cipher.getAuthTag()]).toString('base64url');
  if (sealed.size >= MOST_KEPT) sealed.clear();
  sealed.set(text, id);
  return id;
}

/** What an id names; `undefined` for what is no id of this process. */
function open(id) {
  if (typeof id !== 'string') return undefined;
  const bytes = Buffer.from(id, 'base64url');
  if (bytes.length <= IV + TAG) return undefined;
  try {
    const decipher = createDecipheriv(CIPHER, secret(), bytes.subarray(0, IV), { authTagLength: TAG });
    decipher.setAuthTag(bytes.subarray(-TAG));
    const text = Buffer.concat([decipher.update(bytes.subarray(IV, -TAG)), decipher.final()]);
    return JSON.parse(text.toString());
  } catch {
    return undefined;
  }
}

module.exports = { open, seal };
