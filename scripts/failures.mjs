/*
 * What failed, from all that a part of the tests printed: the sections in which a test runner lists its failures, else the
 * last lines.
 *
 *   node scripts/failures.mjs <log>
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

/** Most lines at the beginning and at the end of an excerpt; of those between, only names of tests are kept. */
const HALF = 30;
/** Most lines where no runner lists failures. */
const END = 40;
const COLUMNS = 300;

const NEVER = /(?!)/;
/** Where a runner lists what failed: Node.js once, at its end, and cargo for each of its binaries. */
const SECTIONS = [
  { from: /^✖ failing tests:$/, to: NEVER },
  { from: /^failures:$/, to: /^test result: FAILED/ },
  { from: /^error: \d+ targets? failed:$/, to: NEVER },
];
/** Frames of Rust's backtraces: most of them are of the runner. */
const FRAME = /^(stack backtrace:$|note: .*RUST_BACKTRACE| {2,}\d+: | {6,}at )/;
/** A failure among what passed, where no runner lists it again. */
const FAILURE = /^\s*([✗✖] |(FAILED|MISSED) |not ok |error(\[E\d+\])?: )/;
const NAME = /^([✗✖] |(FAILED|MISSED) |not ok |---- .+ ----$)/;

/** The lines of `output` that say what failed. */
export function excerptOf(output) {
  const lines = stripVTControlCharacters(output).trimEnd().split('\n');
  const listed = listedIn(lines);
  return shorten(listed.length > 0 ? listed : endOf(lines)).join('\n');
}

function listedIn(lines) {
  let end;
  return lines.filter((line) => {
    end ??= SECTIONS.find(({ from }) => from.test(line))?.to;
    const isListed = end !== undefined && !FRAME.test(line);
    if (end?.test(line)) end = undefined;
    return isListed;
  });
}

function endOf(lines) {
  const at = Math.max(lines.length - END, 0);
  return [...lines.slice(0, at).filter((line) => FAILURE.test(line)), ...lines.slice(at)];
}

function shorten(lines) {
  const cut = lines.map((line) => (line.length > COLUMNS ? `${line.slice(0, COLUMNS)}…` : line));
  if (cut.length <= 2 * HALF) return cut;
  const names = cut.slice(HALF, -HALF).filter((line) => NAME.test(line));
  const leftOut = cut.length - 2 * HALF - names.length;
  return [...cut.slice(0, HALF), `… ${leftOut} lines, and:`, ...names, ...cut.slice(-HALF)];
}

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  console.log(excerptOf(readFileSync(process.argv[2], 'utf8')));
