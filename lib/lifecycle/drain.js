'use strict';

const { runAtShutdown } = require('../runtime/at-shutdown');
const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { until } = require('../http/server-closing');

/**
 * How long past their time threads may take to report. Measured by a timer, not by the clock of decisions: it is no
 * deadline of the application, but the time in which a busy thread reads its deliveries.
 */
const GRACE_MS = 500;

/** One shutdown in this thread. It begins when the thread is notified. */
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

  /** `isAwaited()` is whether the shutdown is in progress. Once the lifecycle was destroyed, work and hooks are not awaited. */
  constructor({ handle, servers, hooks, tasks, isAwaited, isReset }) {
    this.#handle = handle;
    this.#servers = servers;
    this.#hooks = hooks;
    this.#tasks = tasks;
    this.#isAwaited = isAwaited;
    this.#isReset = isReset;
    this.refresh();
    this.#run();
  }

  /** Reads the times, which may have become shorter. */
  refresh() {
    const times = native.shutdownTimes(this.#handle);
    // Another thread has reset everything. The delivery that says so has not arrived yet.
    if (times === null) return;
    const { closesAt, deadline, hooksTimeout, reason } = owned(times);
    this.#closesAt = closesAt;
    this.#deadline = deadline;
    this.#hooksTimeout = hooksTimeout;
    this.#reason = reason ?? null;
  }

  /** A server that begins to listen during the shutdown closes with the others. */
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
    // Requests and hooks may leave work behind. By now they add no more.
    await until(() => this.#tasks() === 0 || !this.#isAwaited() || this.#isOver());
    const hooksMs = await this.#runLastHooks();
    if (this.#isReset()) return;
    runAtShutdown();
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
   * Runs the hooks after the drain. They, and the work that they leave behind, have a time of their own, however late they
   * begin. Resolves with the milliseconds that they took.
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

  /** Gives up members that are late: a suspended thread must not delay the others. Keeps no thread alive. */
  async #giveUpOthers() {
    while (this.#isAwaited()) {
      await until(() => !this.#isAwaited() || native.elapsed() >= this.#lateAt(), { ref: false });
      if (!this.#isAwaited()) return;
      const by = this.#lateAt();
      await new Promise((resolve) => setTimeout(resolve, GRACE_MS).unref());
      if (this.#isAwaited()) native.giveUpShutdown(this.#handle, by);
    }
  }

  /** When the first member that has not reported is late. */
  #lateAt() {
    return owned(native.shutdownTimes(this.#handle)).lateAt ?? Number.POSITIVE_INFINITY;
  }

  #isOver() {
    return native.elapsed() >= this.#deadline;
  }
}

module.exports = { Drain };
