'use strict';

const { invalidOption } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const {
  ACCEPTED_NAME,
  boolean,
  checkName,
  checkOptions,
  duration,
  integer,
  isName,
  oneOf,
  parseDuration,
  requireOptions,
} = require('../runtime/schema');
const { defaultPolicyName } = require('../rate-limiter/options');

const DEFAULT_HISTORY = 10_000;
const DEFAULT_MAX_CLIENTS = 100_000;

const RULE = {
  name,
  event,
  count: integer(1, 10_000),
  window: duration,
  distinct: boolean,
  mute: (value, option) => parseDuration(value, option, { least: 0 }),
  action: oneOf('alert', 'ban'),
};
const REQUIRED_OF_RULE = ['event', 'count', 'window', 'action'];

const SCHEMA = {
  history: integer(1, 1_000_000),
  rules,
  reputation: name,
  maxClients: integer(1, 10_000_000),
  onMismatch,
};

/** Options of a new monitor, complete, as native code takes them. */
function nativeOptions(options) {
  const checked = checkOptions('SecurityMonitor', options, SCHEMA);
  requireOptions('SecurityMonitor', checked, ['rules']);
  const { history = DEFAULT_HISTORY, maxClients = DEFAULT_MAX_CLIENTS, reputation } = checked;
  return { history, rules: checked.rules.map(nativeRule), reputation, maxClients };
}

function nativeRule(rule) {
  return {
    name: rule.name ?? defaultName(rule),
    event: rule.event,
    count: rule.count,
    windowMs: rule.window,
    distinct: rule.distinct ?? false,
    muteMs: rule.mute,
    bans: rule.action === 'ban',
  };
}

/** `login-failed-5-per-1m`, `login-failed-distinct-5-per-1m`: what alerts call a rule without a name. */
function defaultName({ event, count, window, distinct }) {
  return `${event}${distinct ? '-distinct' : ''}-${defaultPolicyName({ limit: count, window })}`;
}

function rules(value, option) {
  if (!Array.isArray(value)) {
    const accepted = 'an array of { name?, event, count, window, distinct?, mute?, action }';
    throw invalidOption(option, value, accepted);
  }
  // A copy has no holes.
  return Array.from(value).map((rule, index) => {
    const checked = checkOptions(`${option}[${index}]`, rule, RULE);
    requireOptions(`${option}[${index}]`, checked, REQUIRED_OF_RULE);
    return checked;
  });
}

function event(value, option) {
  if (isName(value)) return value;
  throw invalidOption(option, value, ACCEPTED_NAME);
}

function name(value, option) {
  checkName(option.replace(/ name$/, ''), value);
  return value;
}

module.exports = { nativeOptions };
