'use strict';

const { LiveClient } = require('./live-client');
const { callOptions, checkInit, clientOptions, hubOptions } = require('./options');
const { ThreadHub } = require('./thread-hub');
const { native } = require('../runtime/native');
const { checkName, checkTextKey } = require('../runtime/schema');

class ClientHub {
  #hub;

  constructor(name, options = {}) {
    checkName('ClientHub', name);
    this.#hub = ThreadHub.open(name, hubOptions(options));
  }

  static destroy(name) {
    checkName('ClientHub', name);
    return native.destroyClientHub(name);
  }

  get name() {
    return this.#hub.name;
  }

  /** Rejects for invalid arguments too; never throws. */
  async getOrInit(key, init, options = NO_OPTIONS) {
    checkInit(init);
    const checked = callOptions(options);
    checked.signal?.throwIfAborted();
    const entry = this.#hub.fresh(key);
    if (entry !== undefined) return entry.value;
    checkTextKey('key', key);
    return this.#hub.call(key, init, checked, toValue);
  }

  get(key) {
    const entry = this.#hub.fresh(key);
    if (entry !== undefined) return entry.value;
    checkTextKey('key', key);
    return undefined;
  }

  invalidate(key) {
    checkTextKey('key', key);
    return native.invalidateInHub(this.#hub.handle, key);
  }

  client(key, init, options = NO_OPTIONS) {
    checkTextKey('key', key);
    checkInit(init);
    return new LiveClient(this.#hub, key, init, clientOptions(options));
  }

  stats() {
    return native.clientHubStats(this.#hub.handle);
  }
}

const NO_OPTIONS = Object.freeze({});

function toValue(entry) {
  return entry.value;
}

module.exports = { ClientHub };
