'use strict';

const { native } = require('../runtime/native');
const { closedError } = require('./refusals');

/** This thread's membership in a broker, as native code knows it. It ends once. */
class Membership {
  brokerName;
  handle;
  /** The peer's number and id. */
  number;
  id;
  /** Peers that joined before. */
  others;
  hasLeft = false;

  constructor(brokerName, { id, metadata, options, reconfigures }) {
    this.brokerName = brokerName;
    const joined = native.joinBroker(brokerName, { id, metadata }, options, reconfigures);
    this.handle = joined.handle;
    this.number = joined.number;
    this.id = joined.id;
    this.others = joined.others;
  }

  /** What messages call the broker. */
  get title() {
    return `Broker "${this.brokerName}"`;
  }

  /** Whether the broker was destroyed, although this thread may not have been notified yet. */
  get isDestroyed() {
    return native.isBrokerDestroyed(this.handle);
  }

  get inbox() {
    return native.brokerInbox(this.handle);
  }

  /** Throws if this peer has left. */
  checkOpen() {
    if (this.hasLeft) throw closedError(this.title);
  }

  /** Throws also if another thread has just destroyed the broker; costs a native call. */
  checkAlive() {
    if (this.hasLeft || this.isDestroyed) throw closedError(this.title);
  }

  /** Notifies the other peers that this one has joined, unless something that it sent has done so. */
  announce() {
    if (!this.hasLeft) native.announceInBroker(this.handle);
  }
}

module.exports = { Membership };
