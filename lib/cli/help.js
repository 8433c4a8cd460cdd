'use strict';

/** What each option does, by its name and the commands where that differs. */
const OPTIONS = {
  client: ['--client <key>', 'what is known of the client with this address or key'],
  rows: ['--rows <n>', 'most rows of each table (10)'],
  list: ['--list', 'lists the processes that can be inspected, even if there is only one'],
  count: ['--count <n>', 'ends after so many frames'],
  for: ['--for <time>', 'how long, such as 10m, 1h, 7d (1h); a ban also for ever: forever'],
  reason: ['--reason <text>', 'the reason of the ban, for the journal'],
  in: ['--in <name>', 'the limiter or the reputation; needed where the server has several'],
  server: ['--server <pid|url>', 'the server; needed where several processes can be inspected'],
  dir: ['--dir <path>', 'the directory; without it /dev/shm/sluice-<uid>'],
  all: ['--all', 'removes every file that no process is attached to'],
  force: ['--force', 'removes files that processes use, which go on with them by themselves'],
  json: ['--json', 'prints JSON, for scripts'],
  header: ['--header <line>', 'a header for a url, such as "Authorization: Bearer …"; may be repeated'],
  help: ['--help', 'prints this'],
};

const WHERE = `A server is the number of a process on this machine that has called inspect(), or was started with
SLUICE_INSPECT=1, or the url of a dashboard. Actions need inspect({ actions: true }), or readOnly: false.`;

const ENVIRONMENT = `Environment:
  SLUICE_HEADER        headers for a url, one a line, as --header has them, but not seen in lists of processes
  SLUICE_INSPECT_DIR   where sockets are, if the server has it set
  NO_COLOR             no colours`;

const EXIT_CODES = `Exit codes: 0 done, 1 failed, 2 used wrongly.`;

function generalHelp(commands) {
  const lines = Object.values(commands).map(({ usage, summary }) => [usage, summary]);
  return [
    'See and steer a server that uses sluice.',
    columns([
      ...lines,
      ['sluice <command> --help', 'Prints the options of a command.'],
      ['sluice --version', 'Prints the version.'],
    ]),
    WHERE,
    EXIT_CODES,
  ].join('\n\n');
}

function helpOf({ usage, summary, details = [], options }) {
  return [
    `${usage} [options]`,
    [summary, ...details].join('\n'),
    columns(Object.keys(options).map((option) => OPTIONS[option])),
    WHERE,
    ENVIRONMENT,
    EXIT_CODES,
  ].join('\n\n');
}

function columns(lines) {
  const width = Math.max(...lines.map(([start]) => start.length));
  return lines.map(([start, end]) => `  ${start.padEnd(width)}  ${end}`).join('\n');
}

module.exports = { generalHelp, helpOf };
