'use strict';

const { isProbe } = require('../http/probe-paths');
const { LoadShedder } = require('../load-shedder');
const { codeOf } = require('../load-shedder/priorities');
const { kAdmit } = require('../load-shedder/symbols');
const { priorityOf } = require('./priority');
const { overloaded } = require('./refusal');

/** Refuses requests that have waited too long for the event loop of this thread. */
class OverloadGate {
  #counts;
  #dryRun;
  /** The property of a request that was asked for: the application may check it by hand as well. */
  #kAsked = Symbol('sluice.overload');

  /** Without `options` it attaches to the existing shedder. */
  constructor(name, options, { counts, dryRun }) {
    this.shedder = new LoadShedder(name, options);
    this.#counts = counts;
    this.#dryRun = dryRun;
  }

  /** The refusal of a request; null where it is admitted, and in a dry run, which only counts. */
  refusal(request, incoming, rule, client) {
    if (incoming[this.#kAsked] === true || isProbe(incoming)) return null;
    incoming[this.#kAsked] = true;
    const code = rule.priorityCode ?? codeOf(priorityOf(rule.priority, request, incoming));
    return this.#admits(code) ? null : this.#counted(client);
  }

  /** By the code of a priority. An internal error admits. */
  #admits(code) {
    try {
      return this.shedder[kAdmit](code);
    } catch (error) {
      this.#counts.fault(error);
      return true;
    }
  }

  #counted(client) {
    const refusal = overloaded();
    this.#counts.count(this.#dryRun ? 'dryRefused' : 'refusedByOverload', client.key);
    this.#counts.publish(refusal, client, this.#dryRun);
    return this.#dryRun ? null : refusal;
  }
}

module.exports = { OverloadGate };
