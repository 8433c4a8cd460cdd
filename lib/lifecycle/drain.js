'use strict';

const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { until } = require('../http/server-closing');

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
  #tasks;
  #isAwaited;
  #closesAt;
  #deadline;
  #hooksTimeout;
  #reason;
  #isClosing = false;
  #isReset;

  /** `isAwaited()` says whether the shutdown still goes on: where it was destroyed, nobody waits for work and hooks. */
  constructor({ handle, servers, hooks, tasks, isAwaited, isReset }) {
    this.#handle = handle;
    this.#servers = servers;
    this.#hooks = hooks;
    this.#tasks = tasks;
    this.#isAwaited = isAwaited;
    this.#isReset = isReset;
    this.look();
    this.#run();
  }

  /** The times may have become shorter. */
  look() {
    const times = native.shutdownTimes(this.#handle);
    // Another thread has reset everything, of which this one has not heard yet.
    if (times === null) return;
    const { closesAt, deadline, hooksTimeout, reason } = owned(times);
    this.#closesAt = closesAt;
    this.#deadline = deadline;
    this.#hooksTimeout = hooksTimeout;
    this.#reason = reason ?? null;
  }

  /** A server that begins to listen now ends with the others. */
  add(connections) {
    if (this.#isClosing) connections.close(() => this.#isOver());
    else connections.announce();
  }

  async #run() {
    for (const connections of this.#servers) connections.announce();
    await until(() => this.#isReset() || native.elapsed() >= this.#closesAt);
    if (this.#isReset()) return;
    this.#isClosing = true;
    const [ended] = await Promise.all([this.#close(), this.#runHooks('draining', () => this.#deadline)]);
    // Requests and hooks leave work behind: it is looked at when no more can come from them.
    await until(() => this.#tasks() === 0 || !this.#isAwaited() || this.#isOver());
    const hooksMs = await this.#runLastHooks();
    if (this.#isReset()) return;
    native.reportShutdown(this.#handle, { ...ended, hooks: this.#hooks.outcomes(), hooksMs });
    await this.#giveUpOthers();
  }

  async #close() {
    const closing = [...this.#servers].map((connections) => connections.close(() => this.#isOver()));
    const ends = await Promise.all(closing);
    const sum = (key) => ends.reduce((total, end) => total + end[key], 0);
    return { forced: sum('forced'), connectionsReset: sum('reset') };
  }

  #runHooks(when, deadline) {
    if (this.#isReset()) return undefined;
    return this.#hooks.run(when, this.#reason, () => (this.#isAwaited() ? deadline() : 0));
  }

  /**
   * Hooks for which connections and work must have ended have a time of their own, however late that is; so has the work
   * that they leave behind. How many milliseconds they took.
   */
  async #runLastHooks() {
    const startedAt = native.elapsed();
    const left = this.#tasks();
    if (this.#isAwaited()) native.threadDrained(this.#handle);
    const deadline = () => startedAt + this.#hooksTimeout;
    await this.#runHooks('drained', deadline);
    if (!this.#hooks.has('drained')) return 0;
    const isOver = () => native.elapsed() >= deadline();
    await until(() => this.#tasks() <= left || !this.#isAwaited() || isOver());
    return native.elapsed() - startedAt;
  }

  /** A thread that is suspended must not keep the others waiting. This keeps no thread alive. */
  async #giveUpOthers() {
    while (this.#isAwaited()) {
      await until(() => !this.#isAwaited() || native.elapsed() >= this.#lateAt(), { ref: false });
      if (!this.#isAwaited()) return;
      const by = this.#lateAt();
      await new Promise((resolve) => setTimeout(resolve, GRACE_MS).unref());
      if (this.#isAwaited()) native.giveUpShutdown(this.#handle, by);
    }
  }

  /** When the first thread that has not reported is late. */
  #lateAt() {
    return owned(native.shutdownTimes(this.#handle)).lateAt ?? Number.POSITIVE_INFINITY;
  }

  #isOver() {
    return native.elapsed() >= this.#deadline;
  }
}

module.exports = { Drain };
