'use strict';

/** What observation uses of a shedder. */
module.exports = { kCheckOpen: Symbol('sluice.checkOpen') };
