'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { invalid } = require('../runtime/errors');
const { SHED_CALL } = require('../runtime/layouts');
const { handlesOf, integers, isAdmitted, native } = require('../runtime/native');
const { onMismatch, openNamed } = require('../runtime/on-mismatch');
const { checkName, checkOptions } = require('../runtime/schema');
const { groupCpu } = require('./group-cpu');
const { ACCEPTED_PRIORITY, codeOf, countsOf } = require('./priorities');
const { kAdmit, kCheckOpen } = require('./symbols');
const { currentTurn, startTurns } = require('./turns');

const { HANDLE, PRIORITY, TURN } = SHED_CALL;
const { admitRequest, delayOfThread, isThreadBehind } = native;

const SCHEMA = schemaOf('LoadShedder', { onMismatch });
const RECONFIGURE = schemaOf('LoadShedder');

/** A native handle is released when the last object of this thread that stands for it is collected. */
const collected = handlesOf(native.releaseLoadShedder);

class LoadShedder {
  #name;
  #handle;

  constructor(name, options) {
    checkName('LoadShedder', name);
    this.#name = name;
    const checked = options === undefined ? undefined : checkOptions('LoadShedder', options, SCHEMA);
    const open = (reconfigures) => native.openLoadShedder(name, checked, reconfigures);
    this.#handle = openNamed('LoadShedder', name, options, open);
    collected.register(this, this.#handle);
    startTurns();
  }

  static destroy(name) {
    checkName('LoadShedder', name);
    return native.destroyLoadShedder(name);
  }

  get name() {
    return this.#name;
  }

  admit(priority = 'normal') {
    const code = codeOf(priority);
    if (code === undefined) throw invalid('INVALID_VALUE', 'priority', priority, ACCEPTED_PRIORITY);
    return this[kAdmit](code);
  }

  get isBehind() {
    this.#leave();
    isThreadBehind();
    return isAdmitted();
  }

  get delayMs() {
    this.#leave();
    return delayOfThread();
  }

  reconfigure(options) {
    native.reconfigureLoadShedder(this.#handle, checkOptions('LoadShedder', options, RECONFIGURE));
  }

  stats() {
    const { admitted, shed, laps, lapTimeMs, longestMs, ...now } = native.loadShedderStats(this.#handle);
    return {
      admitted: countsOf(admitted),
      shed: countsOf(shed),
      ...now,
      laps: { count: laps, totalMs: lapTimeMs, longestMs },
      cpu: groupCpu(),
    };
  }

  [kAdmit](code) {
    this.#leave();
    integers[PRIORITY] = code;
    admitRequest();
    return isAdmitted();
  }

  /** Throws once the shedder is destroyed. Counts nothing. */
  [kCheckOpen]() {
    native.checkLoadShedder(this.#handle);
  }

  #leave() {
    integers[HANDLE] = this.#handle;
    integers[TURN] = currentTurn();
  }
}

module.exports = { LoadShedder };
