'use strict';

const components = require('./component-sections');
const { layoutOf, shortened } = require('./output');
const sections = require('./sections');
const { headingLine, sectionLines } = require('./table');
const { printable } = require('./text');

/** Sections in the order in which they get room, each with the rows that it has at most. */
const PARTS = /** @type {[(snapshot: any) => any, number][]} */ ([
  [sections.requests, 4],
  [sections.refused, 10],
  [sections.bans, 5],
  [sections.busiest, 6],
  [sections.limits, 5],
  [components.circuits, 4],
  [components.connections, 3],
  [components.threads, 8],
  [sections.events, 8],
]);

/** Title and heads of a section, one row, and the line after it. */
const LEAST_LINES = 4;

/** The lines of one frame, at most `height` of them. */
function frameLines(snapshot, layout, height = Number.POSITIVE_INFINITY) {
  const { title, facts } = sections.headline(snapshot);
  const lines = [headingLine({ title, note: facts }, layout)];
  for (const [part, most] of PARTS) {
    const section = part(snapshot);
    const room = height - lines.length - 1;
    if (section === undefined || room < Math.min(LEAST_LINES, section.rows.length + 2)) continue;
    // Beside the rows, a title, heads, and how many were left out.
    const rows = Math.max(1, Math.min(most, room - 3));
    lines.push('', ...sectionLines(shortened(section, rows), layout).slice(0, room));
  }
  return lines;
}

/** Frames of plain text, one after the other. */
class Frames {
  #io;

  constructor(io) {
    this.#io = io;
  }

  show(snapshot) {
    this.#io.stdout.write(`${frameLines(snapshot, layoutOf(this.#io)).join('\n')}\n`);
  }

  away(why) {
    this.#io.stderr.write(`sluice: ${printable(why)}; connecting again\n`);
  }

  end() {}
}

module.exports = { Frames, frameLines };
