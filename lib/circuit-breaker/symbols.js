'use strict';

/** For the dashboard: the circuits that an operator looks for, at most so many, and how many there are besides. */
const kForemost = Symbol('sluice.foremost');

/** For the dashboard: the circuit of a target; `undefined` where it is not tracked. */
const kCircuit = Symbol('sluice.circuit');

module.exports = { kCircuit, kForemost };
