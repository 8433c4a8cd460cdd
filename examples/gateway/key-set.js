'use strict';

// Tokens are `user.signature`, the signature Ed25519 in base64url. Keys are fetched once for all threads, and each thread
// makes its own key object of them.

const { createPublicKey, sign, verify } = require('node:crypto');
const { ClientHub } = require('sluice');

/** `{ get() }`: what verifies tokens in this thread. */
function verifierOf(url) {
  return new ClientHub('gateway').client('key set', (signal) => fetchKeySet(url, signal), {
    ttl: '10m',
    timeout: '2s',
    revive: (jwk) => new Verifier(createPublicKey({ key: jwk, format: 'jwk' })),
  });
}

async function fetchKeySet(url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`the key set is not to be had: ${response.status}`);
  const { keys } = await response.json();
  return keys[0];
}

class Verifier {
  #key;

  constructor(key) {
    this.#key = key;
  }

  /** The user that a token names, if it is signed; else undefined. */
  verify(token = '') {
    const [user, signature = ''] = token.split('.');
    const isSigned = verify(null, Buffer.from(user), this.#key, Buffer.from(signature, 'base64url'));
    return isSigned ? user : undefined;
  }
}

function tokenOf(user, privateKey) {
  return `${user}.${sign(null, Buffer.from(user), privateKey).toString('base64url')}`;
}

module.exports = { tokenOf, verifierOf };
