'use strict';

const { rowsOf } = require('./latency-families');

/**
 * Writes Prometheus' text format, version 0.0.4. A family is `{ name, type, help, samples }`, a sample `[labels, value]`;
 * families without samples are left out. Without `comments` there are no lines of help and type.
 */
function writeFamilies(families, { comments }) {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map((family) => (comments ? writeComments(family) + writeSamples(family) : writeSamples(family)))
    .join('');
}

function writeSamples({ name, type, samples }) {
  const rows = samples.flatMap(type === 'histogram' ? rowsOf : ([labels, value]) => ({ labels, value }));
  return rows.map((row) => writeRow(name, row)).join('');
}

function writeRow(name, { suffix = '', labels, value }) {
  return `${name}${suffix}${writeLabels(labels)} ${writeValue(value)}\n`;
}

function writeComments({ name, type, help }) {
  return `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${type}\n`;
}

function writeLabels(labels) {
  const pairs = Object.entries(labels).map(([label, value]) => {
    return `${label}="${String(value).replace(/[\\\n"]/g, escaped)}"`;
  });
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(character) {
  return character === '\n' ? '\\n' : `\\${character}`;
}

function writeValue(value) {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? '+Inf' : '-Inf';
}

module.exports = { writeFamilies };
