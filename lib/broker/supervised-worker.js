'use strict';

const { Worker } = require('node:worker_threads');
const { Deadline } = require('../runtime/deadline');
const { SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');

/**
 * One thread of a group, from start to exit. `up` resolves when its peer has joined and rejects if it never will.
 * `exited` resolves with `{ code, error }`, after which nothing of the thread is held.
 */
class SupervisedWorker {
  /** In UTC milliseconds, and on the clock that measures durations. */
  startedAt = Math.floor(native.clockNow());
  begunAt = native.elapsed();
  upAt;
  threadId = null;
  peerId = null;
  isLeaving = false;
  hasEnded = false;
  up;
  exited;
  #plan;
  #worker;
  #startDeadline;
  #isLate = false;
  #error;
  #resolveUp;
  #rejectUp;
  #resolveExited;

  constructor(plan, isRef) {
    this.#plan = plan;
    this.up = new Promise((resolve, reject) => {
      this.#resolveUp = resolve;
      this.#rejectUp = reject;
    });
    // The group is notified of its end as well, so `up` may be awaited by no caller.
    this.up.catch(() => {});
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
    this.#start(isRef);
  }

  get isUp() {
    return this.upAt !== undefined && !this.hasEnded;
  }

  /** The peer of this thread has joined. */
  join(peerId) {
    this.peerId = peerId;
    if (this.upAt !== undefined || this.hasEnded) return;
    this.upAt = native.elapsed();
    this.#startDeadline.cancel();
    this.#resolveUp();
  }

  /**
   * Asks its peer to finish its work and leave. The thread then ends by itself, unless something else keeps it alive;
   * after `timeout` it is terminated. A thread that has not joined is terminated at once.
   */
  async leave(timeout) {
    this.#keepAliveUntilExit();
    if (!this.isUp) return this.terminate();
    this.#plan.requestLeave(this.peerId);
    const deadline = new Deadline(timeout, () => this.#worker?.terminate(), { ref: false });
    await this.exited;
    deadline.cancel();
  }

  async terminate() {
    this.#keepAliveUntilExit();
    this.#worker?.terminate();
    await this.exited;
  }

  setRef(isRef) {
    if (isRef || this.isLeaving) this.#worker?.ref();
    else this.#worker?.unref();
  }

  /** A caller awaits its end, so this thread must not end before. */
  #keepAliveUntilExit() {
    this.isLeaving = true;
    this.#worker?.ref();
  }

  #start(isRef) {
    const { file, workerOptions, startTimeout } = this.#plan;
    try {
      this.#worker = new Worker(file, workerOptions);
    } catch (error) {
      this.#end(null, error);
      return;
    }
    this.threadId = this.#worker.threadId;
    this.#worker.on('error', (error) => {
      this.#error = error;
    });
    this.#worker.once('exit', (code) => this.#end(code, this.#error));
    this.setRef(isRef);
    // Not a reason to keep this thread alive: the worker may be one.
    this.#startDeadline = new Deadline(startTimeout, () => this.#abandonStart(), { ref: false });
  }

  #abandonStart() {
    this.#isLate = true;
    this.#worker.terminate();
  }

  #end(code, error) {
    this.hasEnded = true;
    this.#startDeadline?.cancel();
    this.#worker = undefined;
    if (this.upAt === undefined) this.#rejectUp(this.#spawnFailed(code, error));
    this.#resolveExited({ code, error });
  }

  #spawnFailed(code, cause) {
    const message = `${this.#plan.title} ${this.#reason(code, cause)}`;
    return new SluiceError('SPAWN_FAILED', message, cause === undefined ? undefined : { cause });
  }

  #reason(code, cause) {
    if (this.#isLate) return `did not join within ${this.#plan.startTimeout} ms and was terminated`;
    if (this.isLeaving) return 'was asked to end before it had joined';
    if (code === null) return `could not be started: ${cause.message}`;
    if (cause !== undefined) return `failed before it joined: ${cause.message ?? String(cause)}`;
    return `ended with code ${code} before it joined; accepted: a file that makes a Broker of this name`;
  }
}

module.exports = { SupervisedWorker };
