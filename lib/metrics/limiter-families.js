'use strict';

const { by, counter, gauge, oneOf } = require('./declare');

const LIMITER = [
  counter('sluice_limiter_allowed_total', 'Calls that a limiter allowed.', 'allowed'),
  counter('sluice_limiter_refused_total', 'Calls that a limiter refused.', 'refused'),
  counter('sluice_limiter_dry_refused_total', 'Calls that dryRun let pass.', 'dryRefused'),
  counter('sluice_limiter_untracked_total', 'Calls for keys that were not stored.', 'untracked'),
  counter(
    'sluice_limiter_live_evictions_total',
    'Clients evicted before they were fully replenished.',
    'liveEvictions',
  ),
  gauge('sluice_limiter_blocked', 'Clients blocked now.', 'blocked'),
  gauge('sluice_limiter_refusing', 'Clients whose next call is refused: an estimate.', 'refusing'),
  gauge('sluice_limiter_waiting', 'Calls that wait for their units now.', 'waiting'),
  counter('sluice_limiter_waited_total', 'Calls that waited for their units and were allowed.', 'waited'),
  gauge('sluice_limiter_size', 'Clients tracked now.', 'size'),
  gauge('sluice_limiter_capacity', 'Most clients tracked at once.', 'capacity'),
  gauge('sluice_limiter_processes', 'Processes that share a limiter of the machine.', 'processes'),
  counter(
    'sluice_limiter_deaths_total',
    'Processes that shared a limiter of the machine and have ended.',
    'deaths',
  ),
];

const LINK_STATES = ['idle', 'connecting', 'ready', 'away'];
const MS = 1000;

/** A property of the statistics of the fleet, which only limiters have whose counts are on a server. */
const fleet = (property) => (stats) => stats.fleet?.[property];

/** Several limiters may share a link. */
const FLEET = [
  counter(
    'sluice_fleet_decisions_total',
    'Decisions of the server, remembered refusals included.',
    fleet('decisions'),
  ),
  counter(
    'sluice_fleet_remembered_total',
    'Refusals that were remembered of the server.',
    fleet('remembered'),
  ),
  counter('sluice_fleet_local_total', 'Decisions without the server, by onError.', fleet('local')),
  counter(
    'sluice_fleet_failures_total',
    'Calls that the server did not decide, by reason.',
    by('reason', fleet('failures')),
  ),
  counter('sluice_fleet_commands_total', 'Script calls that the link sent.', fleet('commands')),
  counter('sluice_fleet_connections_total', 'Connections that the link has made.', fleet('connections')),
  gauge('sluice_fleet_pending', 'Calls that the link holds now.', fleet('pending')),
  gauge(
    'sluice_fleet_state',
    'State of the link: 1 for the one it has.',
    oneOf('state', LINK_STATES, fleet('state')),
  ),
  gauge('sluice_fleet_latency_seconds', 'A recent round trip of a script call.', latency, 's'),
  gauge('sluice_fleet_held', 'Units of leases that are held now.', fleet('held')),
  counter(
    'sluice_fleet_given_back_total',
    'Units of leases that were not used and went back.',
    fleet('givenBack'),
  ),
  counter(
    'sluice_fleet_missed_total',
    'Synchronous calls that were refused as too little was held.',
    fleet('missed'),
  ),
];

/** None before the first round trip. */
function latency({ fleet: stats }) {
  const latencyMs = stats?.latencyMs ?? null;
  return latencyMs === null ? null : latencyMs / MS;
}

module.exports = { LIMITER: [...LIMITER, ...FLEET] };
