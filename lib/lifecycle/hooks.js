'use strict';

const { AsyncResource } = require('node:async_hooks');
const { outline } = require('../runtime/carried-error');
const { describe, invalidOption, SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { ACCEPTED_NAME, checkOptions, func, isName, oneOf, parseDuration } = require('../runtime/schema');
const { until } = require('../http/server-closing');

/** Default timeouts. Hooks during the drain have all of its time. */
const DEFAULT_TIMEOUTS_MS = { draining: Number.POSITIVE_INFINITY, drained: 2000 };

const SCHEMA = {
  name: (value, option) => {
    if (isName(value)) return value;
    throw invalidOption(option, value, ACCEPTED_NAME);
  },
  timeout: (value, option) => parseDuration(value, option),
  when: oneOf('draining', 'drained'),
};

/** The hooks of one lifecycle in this thread. */
class Hooks {
  #owner;
  #hooks = [];

  constructor(owner) {
    this.#owner = owner;
  }

  add(fn, options = {}) {
    func(fn, 'onShutdown');
    const {
      name,
      when = 'draining',
      timeout = DEFAULT_TIMEOUTS_MS[when],
    } = checkOptions('onShutdown', options, SCHEMA);
    const called = name ?? (isName(fn.name) ? fn.name : `hook ${this.#hooks.length + 1}`);
    const run = AsyncResource.bind(fn, 'sluice:Lifecycle:shutdown');
    this.#hooks.push({ run, name: called, timeoutMs: timeout, when });
  }

  has(when) {
    return this.#hooks.some((hook) => hook.when === when);
  }

  /** Runs the hooks of one moment concurrently. Each has its own timeout, and `deadline()` at most. */
  async run(when, reason, deadline) {
    const running = this.#hooks
      .filter((hook) => hook.when === when)
      .map(async (hook) => {
        hook.outcome = await this.#run(hook, reason, deadline);
      });
    await Promise.all(running);
  }

  /** The outcomes, in the order of registration. */
  outcomes() {
    return this.#hooks.map(({ outcome }) => outcome);
  }

  async #run({ run, name, timeoutMs }, reason, deadline) {
    const startedAt = native.elapsed();
    let outcome;
    const settled = new Promise((resolve) => resolve(run({ reason }))).then(
      () => {
        outcome = { name, error: undefined };
      },
      (error) => {
        outcome = { name, error: toNative(error) };
      },
    );
    const isOver = () => native.elapsed() >= Math.min(startedAt + timeoutMs, deadline());
    await Promise.race([settled, until(() => outcome !== undefined || isOver())]);
    return outcome ?? { name, error: toNative(this.#tooLong(name, native.elapsed() - startedAt)) };
  }

  #tooLong(name, ms) {
    const message = `${this.#owner}: the hook "${name}" has not ended after ${Math.ceil(ms)} ms`;
    return new SluiceError('TIMEOUT', message);
  }
}

/** The thrown value as the report has it. Never throws: the report is awaited. */
function toNative(thrown) {
  const { errors, value } = outline(thrown);
  if (errors === undefined) {
    const message = typeof value === 'string' ? value : describe(value);
    return { name: 'Error', message, code: undefined };
  }
  const { name, message, code } = errors[0];
  return { name, message, code: typeof code === 'string' ? code : undefined };
}

module.exports = { Hooks };
