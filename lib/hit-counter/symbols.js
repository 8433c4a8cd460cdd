'use strict';

/** What stores ask of a counter beside its public methods: when the window of the last call ends, in UTC milliseconds. */
const kEnds = Symbol('sluice.ends');

module.exports = { kEnds };
