'use strict';

const { parseArgs } = require('node:util');
const { version } = require('../../package.json');
const { COMMANDS } = require('./commands');
const { EXIT, Failure, misuse } = require('./failure');
const { generalHelp, helpOf } = require('./help');
const { quoted } = require('./servers');
const { printable } = require('./text');

const MOST_OF_STACK = 2_000;

/** Runs `sluice` with the arguments of this process. */
function main() {
  const { stdin, stdout, stderr, env } = process;
  // The reader of a pipe may end before all is written, as `head` does.
  stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failure));
  run(process.argv.slice(2), { stdin, stdout, stderr, env }).then((exitCode) => {
    process.exitCode = exitCode;
  });
}

/**
 * Runs a command; resolves with its exit code. `io` has `stdin`, `stdout`, `stderr` and `env`.
 *
 * @param {string[]} argv
 */
async function run(argv, io) {
  try {
    await dispatch(argv, io);
    return EXIT.done;
  } catch (error) {
    // Parts of a failure that are not of this program were made printable before.
    const isFailure = error instanceof Failure;
    io.stderr.write(
      `sluice: ${isFailure ? error.message : `an internal error: ${printable(error.stack, MOST_OF_STACK)}`}\n`,
    );
    return isFailure ? error.exitCode : EXIT.failure;
  }
}

async function dispatch(argv, io) {
  const [name, ...rest] = argv;
  if (name === '--version') return void io.stdout.write(`${version}\n`);
  if (name === undefined) throw misuse(`no command is given\n\n${generalHelp(COMMANDS)}`);
  if (name === '--help' || name === '-h' || name === 'help') return help(rest[0], io);
  const command = commandOf(name);
  const args = parsed(name, command, rest);
  if (args.values.help) return help(name, io);
  if (args.positionals.length > command.arguments) {
    const extra = quoted(args.positionals[command.arguments]);
    throw misuse(`${name} has the argument ${extra} too many; accepted: ${command.usage}`);
  }
  await command.run(args, io);
}

function commandOf(name) {
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name];
  throw misuse(
    `${quoted(name)} is no command; accepted: ${Object.keys(COMMANDS).join(', ')}, --help, --version`,
  );
}

function help(name, io) {
  io.stdout.write(`${name === undefined ? generalHelp(COMMANDS) : helpOf(commandOf(name))}\n`);
}

/** @returns {any} */
function parsed(name, { options }, args) {
  const accepted = Object.keys(options).map((option) => `--${option}`);
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    const [sentence] = printable(error.message).split(/\. /);
    throw misuse(`${name}: ${sentence}; accepted: ${accepted.join(', ')}`);
  }
}

module.exports = { main, run };
