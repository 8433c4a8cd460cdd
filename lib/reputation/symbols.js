'use strict';

/** Methods of a reputation that only this library calls. */
module.exports = {
  /** As `bans`, at most as many as are asked for. */
  kFirstBans: Symbol('sluice.firstBans'),
};
