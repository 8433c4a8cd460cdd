'use strict';

/** The states of a link, in which one is 1. */
const STATES = ['idle', 'connecting', 'ready', 'away'];

/**
 * What limiters of the fleet count, for Prometheus; `all` are `[limiter, stats]`. `counter` and `gauge` make families. None for
 * limiters of this process alone.
 */
function fleetFamilies(labels, all, { counter, gauge }) {
  const fleets = all.filter(([, { fleet }]) => fleet !== undefined);
  if (fleets.length === 0) return [];
  const of = (samples) =>
    fleets.flatMap(([limiter, { fleet }]) =>
      Object.entries(samples(fleet)).map(([label, value]) => [
        { ...labels, limiter, ...split(label) },
        value,
      ]),
    );
  return [
    counter(
      'sluice_fleet_decisions_total',
      'Decisions of a server, and those of onError without it.',
      of(({ decisions, local }) => ({ 'source=redis': decisions, 'source=local': local })),
    ),
    counter(
      'sluice_fleet_failures_total',
      'Calls that a server did not decide, by reason.',
      of(({ failures }) => prefixed('reason', failures)),
    ),
    counter(
      'sluice_fleet_commands_total',
      'Script calls sent.',
      of(({ commands }) => ({ '': commands })),
    ),
    gauge(
      'sluice_fleet_state',
      'The state of the link to a server: 1 for the one that it is in.',
      of(({ state }) =>
        prefixed('state', Object.fromEntries(STATES.map((each) => [each, +(each === state)]))),
      ),
    ),
    gauge(
      'sluice_fleet_latency_seconds',
      'A recent round trip of a script call.',
      of(({ latencyMs }) => (latencyMs === null ? {} : { '': latencyMs / 1000 })),
    ),
    gauge(
      'sluice_fleet_held',
      'Units of leases that are held now.',
      of(({ held }) => ({ '': held })),
    ),
    counter(
      'sluice_fleet_given_back_total',
      'Units of leases that were not used and went back.',
      of(({ givenBack }) => ({ '': givenBack })),
    ),
    counter(
      'sluice_fleet_missed_total',
      'Synchronous calls that were refused as too little was held.',
      of(({ missed }) => ({ '': missed })),
    ),
  ];
}

const prefixed = (label, values) =>
  Object.fromEntries(Object.entries(values).map(([value, count]) => [`${label}=${value}`, count]));

/** A label in the form `name=value`; none for ''. */
function split(label) {
  if (label === '') return {};
  const [name, value] = label.split('=');
  return { [name]: value };
}

module.exports = { fleetFamilies };
