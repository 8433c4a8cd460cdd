'use strict';

const path = require('node:path');
const { Failure, misuse } = require('../failure');
const { bytes, count, span, time } = require('../format');
const { printJson, printLine, printSections } = require('../output');
const { numeric } = require('../sections');
const { printable } = require('../text');

/** What the option of a file is called that says the others once more. */
const CREATION = 'creation';

/** Lists the files of state that processes share, or removes some. */
async function machine({ values, positionals: [what = 'ls', wanted] }, io) {
  const directory = directoryOf(values.dir);
  if (what === 'ls') return list(directory, wanted, values, io);
  if (what === 'rm') return remove(directory, wanted, values, io);
  throw misuse(`machine ${printable(what)} is no command; accepted: machine ls, machine rm <name>`);
}

function list(directory, wanted, { json }, io) {
  const all = read(directory);
  const files = wanted === undefined ? all : all.filter(isNamed(wanted));
  if (wanted !== undefined && files.length === 0) throw notThere(directory, wanted);
  if (json) return printJson(io, { directory, files: files.map(forJson) });
  printSections(io, [filesSection(directory, files), ...files.map(processes)], Number.POSITIVE_INFINITY);
}

function remove(directory, wanted, { all = false, force = false, json }, io) {
  if ((wanted === undefined) === !all) {
    throw misuse('machine rm takes the name of an instance or of a file, or --all');
  }
  const chosen = all ? read(directory) : read(directory).filter(isNamed(wanted));
  if (chosen.length === 0 && !all) throw notThere(directory, wanted);
  const kept = force ? [] : chosen.filter(({ attached }) => attached.length > 0);
  if (kept.length > 0 && !all) throw inUse(kept[0]);
  const removed = chosen.filter((one) => !kept.includes(one)).map(({ file }) => file);
  for (const file of removed) failingWell(() => native().removeMachineFile(directory, file, force));
  if (json) return printJson(io, { directory, removed, kept: kept.map(({ file }) => file) });
  for (const file of removed) printLine(io, `${file}: removed`);
  for (const one of kept) printLine(io, `${one.file}: kept, as ${usedBy(one)}`);
  if (chosen.length === 0) printLine(io, `no files in ${directory}`);
}

/** The addon is loaded by this command only. */
function native() {
  return require('../../runtime/native').native;
}

function directoryOf(given) {
  if (given === '') throw misuse('--dir is empty; accepted: the path of a directory');
  if (given !== undefined) return path.resolve(given);
  const directory = native().sharedDirectory() ?? undefined;
  if (directory === undefined) throw new Failure('processes share state on Linux only');
  return directory;
}

function read(directory) {
  return failingWell(() => native().machineFiles(directory)).map(({ options, ...file }) => ({
    ...file,
    options: pairs(options),
  }));
}

function failingWell(call) {
  try {
    return call();
  } catch (error) {
    throw new Failure(printable(error.message));
  }
}

/** What native code leaves one after the other. */
function pairs(texts) {
  const options = {};
  for (let at = 0; at < texts.length; at += 2) {
    if (texts[at] !== CREATION)
      Object.defineProperty(options, texts[at], { value: texts[at + 1], enumerable: true });
  }
  return options;
}

/** Of a file: its name, that of its instance, or both. */
function isNamed(wanted) {
  return ({ file, name, kind }) => [file, name, `${kind} ${name}`].includes(wanted);
}

function forJson({ problem, kind, name, generation, clients, ...file }) {
  const orNull = (value) => value ?? null;
  return {
    ...file,
    problem: orNull(problem),
    kind: orNull(kind),
    name: orNull(name),
    generation: orNull(generation),
    clients: orNull(clients),
  };
}

function filesSection(directory, files) {
  return {
    title: 'Shared state',
    note: directory,
    columns: [
      { head: 'Instance' },
      numeric('Size'),
      numeric('Processes'),
      numeric('Clients'),
      numeric('Reconfigured'),
      numeric('Ended'),
      { head: 'Options' },
    ],
    rows: files.map((file) => [
      titleOf(file),
      bytes(file.bytes),
      count(file.attached.length),
      known(file.clients),
      known(file.generation),
      count(file.deaths),
      file.problem === undefined ? optionsOf(file) : { text: file.problem, style: 'red' },
    ]),
    empty: 'There are no files.',
  };
}

function known(number) {
  return number === undefined ? '–' : count(number);
}

function titleOf({ file, kind, name }) {
  return kind === undefined ? file : `${kind} ${name}`;
}

function optionsOf({ options, isOfEarlierBoot }) {
  const given = Object.entries(options).filter(([, value]) => value !== 'none');
  const texts = given.map(([option, value]) => `${option} ${value}`);
  return [...(isOfEarlierBoot ? ['from before the last boot'] : []), ...texts].join(', ');
}

function processes(file) {
  return {
    title: titleOf(file),
    note: file.file,
    columns: [numeric('Process'), { head: 'Attached' }],
    rows: file.attached.map(({ pid, since }) => [
      String(pid),
      `${time(since)}, ${span(Math.max(0, Date.now() - since))} ago`,
    ]),
    empty: 'No process is attached.',
  };
}

function usedBy({ attached }) {
  const pids = attached.map(({ pid }) => pid).join(', ');
  return attached.length === 1 ? `process ${pids} uses it` : `processes ${pids} use it`;
}

function inUse(file) {
  return new Failure(
    `${printable(file.file)}: ${usedBy(file)}; accepted: a file that none uses, or --force, after which they go on with it by themselves`,
  );
}

function notThere(directory, wanted) {
  return new Failure(`there is no ${printable(JSON.stringify(wanted))} in ${printable(directory)}`);
}

module.exports = { machine };
