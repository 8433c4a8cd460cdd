'use strict';

const { by, counter, gauge, oneOf } = require('./declare');

/** A property of what is shared on a server, which only reputations and trackers of a fleet have. */
function shared(property) {
  return (stats) => stats.fleet?.[property];
}

const TRACKER = [
  gauge('sluice_connections', 'Connections open now.', 'count'),
  counter('sluice_connections_opened_total', 'Connections opened.', 'opened'),
  counter('sluice_connections_closed_total', 'Connections closed.', 'closed'),
  counter(
    'sluice_connections_refused_total',
    'Connections refused, by reason.',
    by('reason', ({ refused }) => refused),
  ),
  counter(
    'sluice_connections_without_address_total',
    'Sockets closed at accept that their clients had reset.',
    'withoutAddress',
  ),
  gauge(
    'sluice_thread_connections',
    'Connections open now, by thread.',
    by('thread', ({ perThread }) => perThread),
  ),
  counter(
    'sluice_messages_total',
    'Messages of connections.',
    by('outcome', ({ messages }) => messages),
  ),
  counter(
    'sluice_message_bytes_total',
    'Bytes of messages.',
    by('outcome', ({ bytes }) => bytes),
    'By',
  ),
  gauge(
    'sluice_fleet_tracker_connections',
    'Connections of all processes, as of the last call.',
    shared('count'),
  ),
  gauge('sluice_fleet_tracker_held', 'Connections of this process that the server counts.', shared('held')),
  counter(
    'sluice_fleet_tracker_decisions_total',
    'Connections that the server admitted or refused.',
    shared('decisions'),
  ),
  counter('sluice_fleet_tracker_local_total', 'Decisions without the server, by onError.', shared('local')),
  counter(
    'sluice_fleet_tracker_failures_total',
    'Connections that the server did not decide, by reason.',
    by('reason', shared('failures')),
  ),
  gauge(
    'sluice_fleet_tracker_state',
    'State of the connection to the server: 1 for the one it has.',
    oneOf('state', ['connecting', 'ready', 'away'], shared('state')),
  ),
  gauge('sluice_fleet_tracker_latency_seconds', 'A recent round trip of a script call.', latency, 's'),
];

function latency({ fleet }) {
  return typeof fleet?.latencyMs === 'number' ? fleet.latencyMs / 1000 : undefined;
}

const REPUTATION = [
  counter('sluice_failures_total', 'Failures counted, by weight.', 'failures'),
  counter(
    'sluice_bans_total',
    'Bans, automatic and manual.',
    by('kind', ({ bans, manualBans }) => ({ automatic: bans, manual: manualBans })),
  ),
  counter('sluice_unbans_total', 'Bans ended by unban.', 'unbans'),
  counter('sluice_bans_untracked_total', 'Failures and bans that were not stored.', 'untracked'),
  counter(
    'sluice_reputation_evicted_total',
    'Clients evicted while their failures or bans still counted.',
    'evicted',
  ),
  gauge(
    'sluice_banned',
    'Banned now.',
    by('kind', ({ banned, ranges }) => ({ client: banned, range: ranges })),
  ),
  gauge(
    'sluice_reputation_ranges',
    'Ranges in the lists.',
    by('list', ({ allow, deny }) => ({ allow, deny })),
  ),
  gauge('sluice_reputation_size', 'Clients tracked now.', 'size'),
  gauge('sluice_reputation_capacity', 'Most clients tracked at once.', 'capacity'),
  gauge('sluice_fleet_bans', 'Bans that the server shares.', shared('bans')),
  counter('sluice_fleet_bans_sent_total', 'Changes of bans that the server got.', shared('sent')),
  counter(
    'sluice_fleet_bans_received_total',
    'Changes of bans of other processes that were followed.',
    shared('received'),
  ),
  gauge('sluice_fleet_bans_pending', 'Changes of bans that the server does not have yet.', shared('pending')),
  counter(
    'sluice_fleet_bans_dropped_total',
    'Changes of bans and failures that were not sent, as too many were pending.',
    shared('dropped'),
  ),
  gauge(
    'sluice_fleet_bans_state',
    'State of the connection that shares bans: 1 for the one it has.',
    oneOf('state', ['connecting', 'ready', 'away'], shared('state')),
  ),
];

const MONITOR = [
  counter('sluice_events_total', 'Events recorded.', 'recorded'),
  counter('sluice_alerts_total', 'Alerts raised.', 'alerts'),
  counter('sluice_alerts_muted_total', 'Events that met a muted rule.', 'muted'),
  counter('sluice_alert_bans_total', 'Bans requested by rules.', 'bans'),
  counter('sluice_alert_bans_failed_total', 'Of them, those not carried out.', 'bansFailed'),
  counter('sluice_monitor_evictions_total', 'Clients evicted for new ones.', 'evictions'),
  gauge('sluice_monitor_clients', 'Clients tracked now.', 'clients'),
];

module.exports = { MONITOR, REPUTATION, TRACKER };
