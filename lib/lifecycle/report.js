'use strict';

const { owned } = require('../runtime/schema');

/** The report of a shutdown, from the reports of its members. */
function reportOf(report) {
  const { reason, durationMs, threads } = owned(report);
  const perThread = {};
  for (const { threadId, ...thread } of threads) {
    const reported = { ...thread, hooks: thread.hooks.map(hookOf) };
    // A thread that has loaded several copies of the package reports for each.
    perThread[threadId] =
      perThread[threadId] === undefined ? reported : merge([perThread[threadId], reported]);
  }
  const { responded, ...all } = merge(Object.values(perThread));
  return { reason: reason ?? null, ...all, perThread, durationMs };
}

/** Sums, except `hooksMs`: hooks of threads run at the same time, so the longest time counts. */
function merge(parts) {
  const sum = (key) => parts.reduce((total, part) => total + part[key], 0);
  return {
    responded: parts.every(({ responded }) => responded),
    drained: parts.every(({ drained }) => drained),
    forced: sum('forced'),
    connectionsClosed: sum('connectionsClosed'),
    connectionsReset: sum('connectionsReset'),
    tasksLeft: sum('tasksLeft'),
    hooks: parts.flatMap(({ hooks }) => hooks),
    hooksMs: Math.max(...parts.map(({ hooksMs }) => hooksMs)),
  };
}

function hookOf(outcome) {
  const { name, error } = owned(outcome);
  if (error === undefined || error === null) return { name, ok: true };
  const { name: errorName, message, code } = owned(error);
  /** @type {Error & { code?: string }} */
  const thrown = Object.assign(new Error(message), { name: errorName });
  if (typeof code === 'string') thrown.code = code;
  return { name, ok: false, error: thrown };
}

module.exports = { reportOf };
