'use strict';

const { headingLine, painter, sectionLines } = require('./table');
const { printable, printableJson } = require('./text');

const MOST_OF_LINE = 4_000;

/** How lines are laid out on a stream: a terminal has a width, and may show colours. */
function layoutOf({ stdout, env }) {
  const isTerminal = stdout.isTTY === true;
  const hasColours = isTerminal && !env.NO_COLOR && env.TERM !== 'dumb';
  const width = isTerminal ? stdout.columns || 80 : Number.POSITIVE_INFINITY;
  return { width, paint: painter(hasColours) };
}

/** Prints sections with an empty line between them, each with at most `most` rows. */
function printSections(io, sections, most) {
  const layout = layoutOf(io);
  const texts = sections.map((section) => sectionLines(shortened(section, most), layout).join('\n'));
  io.stdout.write(`${texts.join('\n\n')}\n`);
}

function shortened(section, most) {
  const { rows, leftOut = 0 } = section;
  if (rows.length <= most) return section;
  return { ...section, rows: rows.slice(0, most), leftOut: leftOut + rows.length - most };
}

function printHeadline(io, { title, facts }) {
  io.stdout.write(`${headingLine({ title, note: facts }, layoutOf(io))}\n\n`);
}

function printLine(io, text) {
  io.stdout.write(`${printable(text, MOST_OF_LINE)}\n`);
}

function printJson(io, value) {
  io.stdout.write(`${printableJson(value)}\n`);
}

module.exports = { layoutOf, printHeadline, printJson, printLine, printSections, shortened };
