'use strict';

/**
 * Prometheus' text format, version 0.0.4. A family is `{ name, type, help, samples }`, a sample
 * `[labels, value]`; one without samples is left out.
 */
function writeFamilies(families) {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(writeFamily)
    .join('');
}

function writeFamily({ name, type, help, samples }) {
  const lines = samples.map(([labels, value]) => `${name}${writeLabels(labels)} ${writeValue(value)}\n`);
  return `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${type}\n${lines.join('')}`;
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
