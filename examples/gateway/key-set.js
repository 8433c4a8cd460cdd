'use strict';

// Tokens are `user.signature`, with an Ed25519 signature in base64url. The key set is fetched once for all threads; each
// thread builds its own key object from it.

const { createPublicKey, sign, verify } = require('node:crypto');
const { ClientHub } = require('sluice');

/** A client of the hub whose `get()` resolves with the `Verifier` of this thread. */
function verifierOf(url) {
  return new ClientHub('gateway').client('key set', (signal) => fetchKeySet(url, signal), {
    ttl: '10m',
    timeout: '10s',
    revive: (jwk) => new Verifier(createPublicKey({ key: jwk, format: 'jwk' })),
  });
}

async function fetchKeySet(url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`the key set cannot be fetched: status ${response.status}`);
  const { keys } = await response.json();
  return keys[0];
}

class Verifier {
  #key;

  constructor(key) {
    this.#key = key;
  }

  /** The user of a token with a valid signature, else undefined. */
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
