// The actions of an operator, as the dialogs ask for them.
import { quota } from './format.js';

const DURATIONS = [
  ['5m', '5 minutes'],
  ['1h', '1 hour'],
  ['1d', '1 day'],
  ['7d', '7 days'],
];

export const admit = ({ client, id }) => ({
  title: `Let in ${client}?`,
  text: 'Its bans end and its limits start anew. If it goes on as before, it will be refused again.',
  confirm: 'Let in',
  body: () => ({ action: 'admit', client: id }),
});

export const unban = ({ client, id }, reputation) => ({
  title: `Unban ${client}?`,
  text: `Its ban in “${reputation}” ends. What it has used of its limits stays used.`,
  confirm: 'Unban',
  body: () => ({ action: 'unban', client: id, reputation }),
});

export const ban = ({ client, id }, reputations) => ({
  title: `Ban ${client}?`,
  text: 'Its connections and requests are refused in all threads until the ban ends.',
  confirm: 'Ban',
  danger: true,
  fields: [
    ...choice('reputation', 'In', reputations),
    { name: 'duration', label: 'For', options: [...DURATIONS, ['forever', 'ever']], value: '1h' },
    { name: 'reason', label: 'Reason', maxLength: 200, placeholder: 'by an operator' },
  ],
  body: ({ reputation = reputations[0], duration, reason }) => ({
    action: 'ban',
    client: id,
    reputation,
    duration,
    ...(reason === '' ? {} : { reason }),
  }),
});

export const banTyped = (reputations) => ({
  ...ban({ client: 'an address', id: null }, reputations),
  fields: [
    { name: 'key', label: 'Address or range', required: true, placeholder: '203.0.113.7 or 203.0.113.0/24' },
    ...ban({}, reputations).fields,
  ],
  body: ({ key, reputation = reputations[0], duration, reason }) => ({
    action: 'ban',
    client: { key },
    reputation,
    duration,
    ...(reason === '' ? {} : { reason }),
  }),
});

export const block = ({ client, id }, limiters) => ({
  title: `Block ${client}?`,
  text: 'The limiter refuses it until the block ends. What it owes then is still owed.',
  confirm: 'Block',
  danger: true,
  fields: [
    ...choice(
      'limiter',
      'In the limiter',
      limiters.map(({ id: limiter, name }) => [limiter, name]),
    ),
    { name: 'duration', label: 'For', options: DURATIONS, value: '1h' },
  ],
  body: ({ limiter = limiters[0].id, duration }) => ({ action: 'block', client: id, limiter, duration }),
});

export const reset = ({ client, id }, limiter) => ({
  title: `Reset ${client} in “${limiter.name}”?`,
  text: 'It gets its full quota, and a block of it ends.',
  confirm: 'Reset',
  body: () => ({ action: 'reset', client: id, limiter: limiter.id }),
});

export const reconfigure = ({ name, id, limits }) => ({
  title: `Change the limit of “${name}”?`,
  text: `Now: ${limits.map(quota).join(', ')}. The change applies at once, in all threads; what clients have used stays used. A restart brings the configured limit back.`,
  confirm: 'Change',
  fields: limits.flatMap(({ limit, windowMs }, index) => [
    {
      name: `limit${index}`,
      label: 'Requests',
      type: 'number',
      min: 1,
      step: 1,
      required: true,
      value: limit,
    },
    {
      name: `window${index}`,
      label: 'Per (seconds)',
      type: 'number',
      min: 0.001,
      step: 'any',
      required: true,
      value: windowMs / 1000,
    },
  ]),
  body: (values) => ({
    action: 'reconfigure',
    limiter: id,
    limits: limits.map((_, index) => ({
      limit: Number(values[`limit${index}`]),
      window: Math.round(Number(values[`window${index}`]) * 1000),
    })),
  }),
});

export const dryRun = ({ name, id, dryRun: isOn }) => ({
  title: `Dry run ${isOn ? 'off' : 'on'} for “${name}”?`,
  text: isOn
    ? 'The limiter refuses again what is over its quota.'
    : 'The limiter counts and decides as before, and refuses no client.',
  confirm: isOn ? 'Refuse again' : 'Start the dry run',
  danger: !isOn,
  body: () => ({ action: 'dryRun', limiter: id, on: !isOn }),
});

export const isolate = ({ target, id }, breaker) => ({
  title: `Isolate ${target}?`,
  text: `All calls to it by “${breaker}” are refused until its circuit is reset.`,
  confirm: 'Isolate',
  danger: true,
  body: () => ({ action: 'isolate', circuit: id }),
});

export const closeCircuit = ({ target, id }, breaker) => ({
  title: `Reset the circuit of ${target}?`,
  text: `Calls by “${breaker}” pass again, and are counted from nothing.`,
  confirm: 'Reset',
  body: () => ({ action: 'closeCircuit', circuit: id }),
});

/** A field only where there is more than one choice. */
function choice(name, label, options) {
  if (options.length < 2) return [];
  return [
    { name, label, options: options.map((option) => (Array.isArray(option) ? option : [option, option])) },
  ];
}
