'use strict';

const { native } = require('../native');
const { until } = require('../server-closing');

/**
 * How long threads get to say what came of it once the time is over. By the timer, not by the clock of decisions: no
 * deadline of the application's, but what a busy thread takes to hear of it.
 */
const GRACE_MS = 500;

/** A shutdown as this thread goes through it: once, whenever it hears of it. */
class Drain {
  #handle;
  #servers;
  #hooks;
  #hasTasks;
  #isAwaited;
  #closesAt;
  #deadline;
  #reason;
  #isClosing = false;

  /** `isAwaited()` says whether the shutdown still goes on: where it was destroyed, nobody waits for work and hooks. */
  constructor({ handle, servers, hooks, hasTasks, isAwaited }) {
    this.#handle = handle;
    this.#servers = servers;
    this.#hooks = hooks;
    this.#hasTasks = hasTasks;
    this.#isAwaited = isAwaited;
    this.look();
    this.#run();
  }

  /** The times may have become shorter. */
  look() {
    const { closesAt, deadline, reason } = native.shutdownTimes(this.#handle);
    this.#closesAt = closesAt;
    this.#deadline = deadline;
    this.#reason = reason ?? null;
  }

  /** A server that begins to listen now ends with the others. */
  add(connections) {
    if (this.#isClosing) connections.close(() => this.#isOver());
    else connections.announce();
  }

  async #run() {
    for (const connections of this.#servers) connections.announce();
    await until(() => native.elapsed() >= this.#closesAt);
    this.#isClosing = true;
    const [forced] = await Promise.all([this.#close(), this.#runHooks('draining')]);
    // Requests and hooks leave work behind: it is looked at when no more can come from them.
    await this.#tasksDone();
    await this.#runHooks('drained');
    await this.#tasksDone();
    native.reportShutdown(this.#handle, forced, this.#hooks.outcomes());
    await this.#giveUpOthers();
  }

  async #close() {
    const closing = [...this.#servers].map((connections) => connections.close(() => this.#isOver()));
    const forced = await Promise.all(closing);
    return forced.reduce((sum, count) => sum + count, 0);
  }

  #runHooks(when) {
    return this.#hooks.run(when, this.#reason, () => (this.#isAwaited() ? this.#deadline : 0));
  }

  #tasksDone() {
    return until(() => !this.#hasTasks() || !this.#isAwaited() || this.#isOver());
  }

  /** A thread that stands still must not keep the others waiting. That keeps nobody here alive who does not wait. */
  async #giveUpOthers() {
    await until(() => !this.#isAwaited() || this.#isOver(), { ref: false });
    if (this.#isAwaited()) setTimeout(() => native.giveUpShutdown(this.#handle), GRACE_MS).unref();
  }

  #isOver() {
    return native.elapsed() >= this.#deadline;
  }
}

module.exports = { Drain };
