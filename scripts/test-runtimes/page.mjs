// The part of docs/runtimes.md that says what is known: a table of areas and runtimes, and a note for each cross in it.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../addon.mjs';
import { entriesOf } from './known.mjs';
import { RUNTIMES } from './runtimes.mjs';

const PAGE = path.join(root, 'docs', 'runtimes.md');
const [BEGIN, END] = ['<!-- begin -->\n', '<!-- end -->'];

/** The areas of the table, by the folders of their tests. */
const AREAS = {
  '`RateLimiter`': ['rate-limiter'],
  '`ConnectionTracker`': ['connection-tracker'],
  '`Broker`, workers': ['broker'],
  '`CircuitBreaker`': ['circuit-breaker'],
  '`ClientHub`': ['client-hub'],
  '`Registry`': ['registry'],
  '`Reputation`, `SecurityMonitor`': ['reputation', 'security-monitor'],
  'guard, Express, Fastify': ['guard', 'http'],
  '`Lifecycle`': ['lifecycle'],
  '`listen`': ['listen'],
  'threads that end, copies, memory, errors, `sluice/testing`': ['runtime', 'client-key'],
};

/** Writes the part into the page. */
export function writePage() {
  writeFileSync(PAGE, pageWith(readFileSync(PAGE, 'utf8')));
}

/** The page with its part as it should be. */
export function pageWith(page) {
  const [before, rest] = page.split(BEGIN);
  return `${before}${BEGIN}\n${part()}\n${END}${rest.split(END)[1]}`;
}

function part() {
  return [table(), notes('bun'), notes('deno')].join('\n');
}

function table() {
  const titles = Object.values(RUNTIMES).map(({ title }) => title);
  const rows = Object.entries(AREAS).map(([area, folders]) => {
    const cells = Object.keys(RUNTIMES).map((key) => cell(key, folders));
    return `| ${area} | ${cells.join(' | ')} |`;
  });
  const head = `| | ${titles.join(' | ')} |\n|---|${titles.map(() => ':---:').join('|')}|`;
  return `${head}\n${rows.join('\n')}\n\nA cross has the numbers of its notes below.\n`;
}

function cell(key, folders) {
  const isHere = ({ tests }) => Object.keys(tests).some((file) => folders.includes(file.split('/')[0]));
  const numbers = ofRuntime(key).flatMap((entry, index) => (isHere(entry) ? [index + 1] : []));
  return numbers.length === 0 ? '✓' : `✗ ${numbers.join(', ')}`;
}

function ofRuntime(key) {
  return entriesOf(key).filter(({ isOfTest }) => !isOfTest);
}

function notes(key) {
  const ofTests = entriesOf(key).filter(({ isOfTest }) => isOfTest);
  return [
    `### ${RUNTIMES[key].title.split(' ')[0]}`,
    '',
    ...ofRuntime(key).map(note),
    '',
    'Tests that do not apply:',
    '',
    ...ofTests.map(({ what, tests }) => wrapped(`- ${what} (${Object.keys(tests).join(', ')})`)),
    '',
  ].join('\n');
}

function note({ what, why, issue, instead }, index) {
  const reason = issue === undefined ? why : `${why} ([upstream](${issue}))`;
  const remedy = instead === undefined ? '' : ` Instead: ${instead}.`;
  return wrapped(`${index + 1}. ${what}. ${reason}.${remedy}`);
}

/** An entry of a list in lines of at most 120 characters. */
function wrapped(entry) {
  const indent = ' '.repeat(entry.indexOf(' ') + 1);
  const lines = [''];
  for (const word of entry.split(' ')) {
    const line = lines.at(-1);
    if (line.length + 1 + word.length <= 120)
      lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    else lines.push(indent + word);
  }
  return lines.join('\n');
}
