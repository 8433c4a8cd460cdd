'use strict';

const { fitted, padded, printable, widthOf } = require('./text');

const GAP = '  ';
/** A column is made no narrower than that to fit a line, where there are several. */
const LEAST_COLUMNS = 6;

const CODES = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33' };

/** Paints texts for a terminal that shows colours; elsewhere leaves them as they are. */
function painter(hasColours) {
  return (style, text) =>
    hasColours && style !== undefined ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}

/**
 * The lines of a section: its title, and its rows or what would be there. A column is `{ head, isRight? }`, a cell a text or
 * `{ text, style }`. Every text that is not of this program is made printable here, and nowhere later.
 */
function sectionLines({ title, note, columns, rows, empty, leftOut = 0 }, { width, paint }) {
  const head = headingLine({ title, note }, { width, paint });
  if (rows.length === 0) return [head, paint('dim', fitted(printable(empty), width))];
  const more = leftOut > 0 ? [paint('dim', fitted(`and ${leftOut} more`, width))] : [];
  return [head, ...tableLines(columns, rows, { width, paint }), ...more];
}

/** A title, and what is said of it where there is room. */
function headingLine({ title, note }, { width, paint }) {
  const name = fitted(printable(title), width);
  const room = width - widthOf(name) - GAP.length;
  if (note === undefined || room < 1) return paint('bold', name);
  return `${paint('bold', name)}${GAP}${paint('dim', fitted(printable(note), room))}`;
}

/** On a terminal that is too narrow for all columns the last ones are left out. */
function tableLines(all, allRows, { width, paint }) {
  const most = Math.max(1, Math.floor((width + GAP.length) / (LEAST_COLUMNS + GAP.length)));
  const columns = all.slice(0, most);
  const rows = allRows.map((row) => row.slice(0, most));
  const cells = rows.map((row) => row.map(cellOf));
  const heads = columns.map(({ head }) => ({ text: head, style: 'dim' }));
  const lines = [heads, ...cells];
  const widths = fittedWidths(
    columns.map((_, place) => widest(lines, place)),
    width,
  );
  return lines.map((line) => {
    const texts = line.map(({ text, style }, place) => {
      const whole = padded(fitted(text, widths[place]), widths[place], columns[place].isRight);
      return paint(style, place === line.length - 1 && !columns[place].isRight ? whole.trimEnd() : whole);
    });
    return texts.join(GAP);
  });
}

function cellOf(cell) {
  const { text, style } = typeof cell === 'object' ? cell : { text: cell, style: undefined };
  return { text: printable(text), style };
}

function widest(lines, place) {
  return Math.max(...lines.map((line) => widthOf(line[place].text)));
}

/** The widest columns give way until all fit. */
function fittedWidths(widths, width) {
  let over = widths.reduce((sum, one) => sum + one, GAP.length * (widths.length - 1)) - width;
  for (; over > 0; over--) widths[widths.indexOf(Math.max(...widths))] -= 1;
  return widths;
}

module.exports = { headingLine, painter, sectionLines };
