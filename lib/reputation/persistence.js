'use strict';

const { statSync } = require('node:fs');
const { dirname, resolve } = require('node:path');
const { atShutdown } = require('../runtime/at-shutdown');
const { Deadline } = require('../runtime/deadline');
const { schemaOf } = require('../runtime/declared-options');
const { invalidOption } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { object, owned } = require('../runtime/schema');
const { warn } = require('../runtime/warn');
const { pathOf, systemError } = require('./files');

/** The reputations of this thread that a file keeps, by name: kept in memory, as a file keeps them, until they are destroyed. */
const kept = new Map();

const checkPersist = object(schemaOf('Reputation persist', { path: filePath }), ['path']);

/** `{ path, every }` as native code takes it. The path no longer depends on the current directory. */
function persistOption(value, option) {
  const { path, every } = checkPersist(value, option);
  return owned({ path, every });
}

function filePath(value, option) {
  const path = pathOf(value, option);
  const accepted = 'the path of a file in a folder that exists';
  if (!isFolder(dirname(path)) || isFolder(path)) throw invalidOption(option, path, accepted);
  return resolve(path);
}

function isFolder(path) {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

atShutdown(writeAll);

/** Keeps a reputation that this thread has opened, if a file keeps it: `opened` says so. */
function keep(name, reputation, handle, opened) {
  const found = follow(name, opened);
  forget(name);
  if (found === undefined) return;
  writeAtExit();
  const entry = { reputation, handle, deadline: undefined };
  kept.set(name, entry);
  wait(name, entry, found.waitMs);
}

function forget(name) {
  kept.get(name)?.deadline?.cancel();
  kept.delete(name);
}

function wait(name, entry, ms) {
  entry.deadline = new Deadline(ms, () => look(name, entry), { ref: false });
}

function look(name, entry) {
  const found = follow(name, native.persistIfDue(entry.handle));
  if (kept.get(name) !== entry) return;
  if (found === undefined) forget(name);
  else wait(name, entry, found.waitMs);
}

let writesAtExit = false;

function writeAtExit() {
  if (!writesAtExit) process.on('exit', writeAll);
  writesAtExit = true;
}

/** Writes what has changed, at the end of a shutdown and when the process exits. */
function writeAll() {
  for (const [name, { handle }] of kept) {
    try {
      follow(name, native.persistNow(handle));
    } catch {
      // It was destroyed, and was written then.
    }
  }
}

/** Warns of what native code reports. `undefined` where no file keeps the reputation. */
function follow(name, found) {
  if (found === null || found === undefined) return undefined;
  const { path, failure, unreadable, aside } = found;
  if (unreadable) warnOfUnreadable(name, { path, unreadable, aside });
  if (failure) {
    const { message } = systemError(failure, path);
    warn('SLUICE_REPUTATION_NOT_SAVED', `Reputation ${JSON.stringify(name)} was not saved: ${message}`);
  }
  return found;
}

function warnOfUnreadable(name, { path, unreadable, aside }) {
  const title = `Reputation ${JSON.stringify(name)} could not be read from ${path}: ${unreadable}`;
  const kept = aside ? `The file is kept as ${aside}` : 'The file could not be moved, so it is not written';
  warn('SLUICE_REPUTATION_NOT_READ', `${title}. ${kept}`);
}

module.exports = { keep, persistOption };
