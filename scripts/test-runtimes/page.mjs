// A table of areas and runtimes, with a note for each cross in it: in docs/runtimes.md what is known, in a run what failed.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../addon.mjs';
import { entriesOf, isKnown } from './known.mjs';
import { RUNTIMES } from './runtimes.mjs';

const PAGE = path.join(root, 'docs', 'runtimes.md');
const [BEGIN, END] = ['<!-- begin -->\n', '<!-- end -->'];

/** The areas of the table, by the folders of their tests. */
export const AREAS = {
  '`RateLimiter`': ['rate-limiter'],
  '`ConnectionTracker`': ['connection-tracker'],
  '`Broker`, workers': ['broker'],
  '`CircuitBreaker`': ['circuit-breaker'],
  '`ClientHub`': ['client-hub'],
  '`Semaphore`': ['semaphore'],
  '`Registry`': ['registry'],
  '`HitCounter`, stores': ['hit-counter', 'stores'],
  '`Reputation`, `SecurityMonitor`': ['reputation', 'security-monitor'],
  'guard, Express, Fastify, NestJS': ['guard', 'http', 'nestjs', 'load-shedder'],
  WebSockets: ['websocket'],
  '`Lifecycle`': ['lifecycle'],
  '`listen`': ['listen'],
  'dashboard, metrics': ['dashboard', 'metrics'],
  '`inspect`, `npx sluice`': ['inspection', 'cli'],
  'machine (`scope: { shared }`)': ['machine'],
  fleet: ['fleet'],
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
  const keys = Object.keys(RUNTIMES);
  return `${tableOf(keys, cell)}\n\nA cross has the numbers of its notes below.\n`;
}

/**
 * The table of a run, with what failed in it. `results` has `{ outcomes, verdict }` by runtime. Areas of which no file was
 * run are left out of a cell.
 */
export function summaryOf(results) {
  const legend = '✗ with numbers: known, see docs/runtimes.md; t: a test that does not apply; !: see above';
  return `${tableOf([...results.keys()], (key, folders) => cellOfRun(key, folders, results.get(key)))}\n\n${legend}`;
}

function tableOf(keys, cellOf) {
  const rows = Object.entries(AREAS).map(([area, folders]) => {
    return `| ${area} | ${keys.map((key) => cellOf(key, folders)).join(' | ')} |`;
  });
  const head = `| | ${keys.map((key) => RUNTIMES[key].title).join(' | ')} |`;
  return [head, `|---|${keys.map(() => ':---:').join('|')}|`, ...rows].join('\n');
}

const isIn = (folders) => (file) => folders.includes(file.split('/')[0]);

function cell(key, folders) {
  return cross(numbersOf(key, ({ area, tests }) => [area ?? '', ...Object.keys(tests)].some(isIn(folders))));
}

/** The numbers of the notes that `isMeant` accepts. */
function numbersOf(key, isMeant) {
  return ofRuntime(key).flatMap((entry, index) => (isMeant(entry) ? [index + 1] : []));
}

function cross(marks) {
  return marks.length === 0 ? '✓' : `✗ ${[...new Set(marks)].sort().join(', ')}`;
}

function cellOfRun(key, folders, { outcomes, verdict }) {
  if (![...outcomes.keys()].some(isIn(folders))) return '';
  const isHere = ({ file }) => isIn(folders)(file);
  if ([...verdict.unexpected, ...verdict.stale].some(isHere)) return '✗ !';
  const shownByNone = numbersOf(key, ({ area }) => folders.includes(area));
  const shown = verdict.known.filter(isHere).map((failure) => markOf(key, failure));
  return cross([...shownByNone, ...shown]);
}

/** The number of the note that has a known failure. */
function markOf(key, { file, test }) {
  const index = ofRuntime(key).findIndex((entry) => isKnown([entry], file, test));
  return index === -1 ? 't' : index + 1;
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
    ...ofTests.map(noteOfTest),
    '',
  ].join('\n');
}

function note({ what, why, issue, instead, intermittent }, index) {
  const remedy = instead === undefined ? '' : ` Instead: ${instead}.`;
  return wrapped(`${index + 1}. ${what}. ${why}${linkTo(issue)}.${remedy}${inSomeRuns(intermittent)}`);
}

function noteOfTest({ what, issue, tests, intermittent }) {
  const files = Object.keys(tests).join(', ');
  return wrapped(`- ${what}${linkTo(issue)} (${files}).${inSomeRuns(intermittent)}`);
}

/** `null` where no thread was found; `undefined` where there is nothing to report. */
function linkTo(issue) {
  if (issue === undefined) return '';
  return issue === null ? ' (no thread upstream)' : ` ([upstream](${issue}))`;
}

function inSomeRuns(decides) {
  return decides === undefined ? '' : ` Not in every run: ${decides} decides.`;
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
