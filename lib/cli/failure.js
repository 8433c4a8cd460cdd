'use strict';

/** Exit codes of `sluice`. */
const EXIT = { done: 0, failure: 1, usage: 2 };

/** Why a command ends without success: a sentence for the operator, and the exit code. */
class Failure extends Error {
  constructor(message, exitCode = EXIT.failure) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What was given is not accepted. */
function misuse(message) {
  return new Failure(message, EXIT.usage);
}

module.exports = { EXIT, Failure, misuse };
