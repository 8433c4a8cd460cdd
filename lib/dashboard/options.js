'use strict';

const { invalidOption } = require('../runtime/errors');
const { boolean, checkOptions, func, integer, owned } = require('../runtime/schema');

const MOST_VIEWERS = 20;

const OPTIONS = {
  path,
  title,
  readOnly: boolean,
  authorize: func,
  user: func,
  allowedOrigins: origins,
  showKey: func,
  maxViewers: integer(1, 1000),
  onAction: func,
};

const DEFAULTS = {
  path: undefined,
  title: undefined,
  readOnly: true,
  allowedOrigins: [],
  maxViewers: MOST_VIEWERS,
};

/** The options of a dashboard, checked and completed. */
function dashboardOptions(options) {
  return owned(DEFAULTS, checkOptions('dashboard', options, OPTIONS));
}

function path(value, option) {
  const isPath = typeof value === 'string' && /^(?:\/[\w.~-]+)+$/.test(value);
  if (isPath) return value;
  throw invalidOption(option, value, 'a path such as "/sluice", without a slash at its end');
}

function title(value, option) {
  if (typeof value === 'string' && value !== '' && value.length <= 80) return value;
  throw invalidOption(option, value, 'a text of 1 to 80 characters');
}

function origins(value, option) {
  const copy = Array.isArray(value) ? [...value] : undefined;
  if (copy?.every(isOrigin)) return copy;
  throw invalidOption(option, value, 'an array of origins such as "https://admin.example.com"');
}

function isOrigin(value) {
  try {
    return typeof value === 'string' && value !== 'null' && new URL(value).origin === value;
  } catch {
    return false;
  }
}

module.exports = { dashboardOptions, title };
