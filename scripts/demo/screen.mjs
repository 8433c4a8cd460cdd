// Output of the demo: tables, and a progress line if stdout is a terminal.

const isTerminal = process.stdout.isTTY === true;

/** The first column is text, the others are numbers. */
export function printTable(headings, rows) {
  const lines = [headings, ...rows].map((row) => row.map(String));
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const format = (line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('   ');
  const [first, ...rest] = lines.map(format);
  console.log(`  ${first}\n  ${widths.map((width) => '-'.repeat(width)).join('   ')}`);
  for (const line of rest) console.log(`  ${line}`);
  console.log();
}

/** An `onProgress` for `sendLoad`: redraws one line in a terminal, prints a line per quarter otherwise. */
export function progressLine(label) {
  let shown = 0;
  return (done, total) => {
    const step = isTerminal ? Math.floor((done / total) * 40) : Math.floor((done / total) * 4);
    if (step === shown) return;
    shown = step;
    if (!isTerminal) {
      console.log(`  ${label}: ${done} of ${total} requests`);
      return;
    }
    process.stdout.write(
      `\r  ${label} [${'#'.repeat(step)}${' '.repeat(40 - step)}] ${done} of ${total} requests`,
    );
    if (done === total) process.stdout.write('\n');
  };
}
