'use strict';

/** Methods of a limiter that only this library calls. */
module.exports = {
  /** For middleware: as `kDecide`, but a call that cannot be charged at once waits. */
  kAcquire: Symbol('sluice.acquire'),
  /** For middleware: `consume` with what its headers need. */
  kDecide: Symbol('sluice.decide'),
  /** As `kDecide`, by units that this process holds; undefined where a server has to be asked. */
  kDecideHeld: Symbol('sluice.decideHeld'),
  /** The limits in force, read anew. */
  kLimits: Symbol('sluice.limits'),
  /** As `kDecide`, a promise, where `kIsAwaited` says that a server keeps the counts. */
  kDecideAwaited: Symbol('sluice.decideAwaited'),
  kIsAwaited: Symbol('sluice.isAwaited'),
  /** What a limiter is shared by beyond its process, as messages name the scope; undefined for nothing. */
  kSharedBy: Symbol('sluice.sharedBy'),
  /** The policies in force. */
  kPolicies: Symbol('sluice.policies'),
  /** The names of the policies that decided the last call. */
  kPolicyNames: Symbol('sluice.policyNames'),
  /** For charges that are taken back once the response is known. */
  kReceipt: Symbol('sluice.receipt'),
  kUndo: Symbol('sluice.undo'),
  /** The decision of a call that waited. */
  kWaited: Symbol('sluice.waited'),
};
