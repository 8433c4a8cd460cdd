'use strict';

module.exports = {
  /** Admits by the code of a priority, which the caller has checked. For middleware. */
  kAdmit: Symbol('sluice.admit'),
  /** What observation uses of a shedder. */
  kCheckOpen: Symbol('sluice.checkOpen'),
};
