'use strict';

/** Methods of a limiter that only this library calls. */
module.exports = {
  /** For middleware: as `kDecide`, but a call that cannot be charged at once waits. */
  kAcquire: Symbol('sluice.acquire'),
  /** Charges a key at once, where that can be; else leaves a refusal, and nothing is charged. */
  kCharge: Symbol('sluice.charge'),
  /** For middleware: `consume` with what its headers need. */
  kDecide: Symbol('sluice.decide'),
  /** As `kDecide`, by units that this process holds; undefined where a server has to be asked. */
  kDecideHeld: Symbol('sluice.decideHeld'),
  /** The limits in force, read anew. */
  kLimits: Symbol('sluice.limits'),
  /** As `kDecide`, a promise, where `kIsAwaited` says that a server keeps the counts. */
  kDecideAwaited: Symbol('sluice.decideAwaited'),
  /** Whether the last call of `acquire` had to wait. */
  kHasWaited: Symbol('sluice.hasWaited'),
  kIsAwaited: Symbol('sluice.isAwaited'),
  /** What a limiter is shared by beyond its process, as messages name the scope; undefined for nothing. */
  kSharedBy: Symbol('sluice.sharedBy'),
  /** Has a call wait in the line of its key. */
  kJoin: Symbol('sluice.join'),
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
