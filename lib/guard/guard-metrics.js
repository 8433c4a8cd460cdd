'use strict';

const { writeFamilies } = require('./exposition');
const { fleetFamilies } = require('./fleet-metrics');

const counter = (name, help, samples) => ({ name, type: 'counter', help, samples });
const gauge = (name, help, samples) => ({ name, type: 'gauge', help, samples });

/** One sample for each key of `labelled`, under one label. */
function by(label, labels, labelled) {
  return Object.entries(labelled).map(([value, count]) => [{ ...labels, [label]: value }, count]);
}

/**
 * What guards count, for Prometheus; `entries` are `{ guard, stats }`. Each sample has the label `guard`; parts have a label
 * with their name too. `comments: false` leaves out the lines that a page may have only once.
 */
function exposition(entries, { comments }) {
  const all = entries.map(({ guard, stats }) => familiesOf(guard, stats));
  return writeFamilies(merged(all.flat()), { comments });
}

function familiesOf(guard, stats) {
  return [
    ...requests({ guard: guard.name }, stats),
    ...limiters({ guard: guard.name }, limitersOf(guard, stats)),
    ...fleetFamilies({ guard: guard.name }, limitersOf(guard, stats), { counter, gauge }),
    ...connections({ guard: guard.name }, stats.connections),
    ...reputation({ guard: guard.name, reputation: guard.reputation?.name }, stats.reputation),
    ...monitor({ guard: guard.name, monitor: guard.monitor?.name }, stats.monitor),
  ];
}

/** Merges families of one name: the format allows each name once. */
function merged(families) {
  const byName = new Map();
  for (const family of families) {
    const before = byName.get(family.name);
    if (before === undefined) byName.set(family.name, { ...family });
    else before.samples = [...before.samples, ...family.samples];
  }
  return [...byName.values()];
}

function requests(labels, { allowed, skipped, refusedBy, refusedAtAccept, ...stats }) {
  const { dryRefused, refunded, recorded, faults } = stats;
  const outcomes = { allowed, skipped };
  return [
    counter('sluice_requests_passed_total', 'Requests that passed.', by('outcome', labels, outcomes)),
    counter(
      'sluice_requests_refused_total',
      'Requests that were refused, by reason.',
      by('reason', labels, refusedBy),
    ),
    counter('sluice_accepts_banned_total', 'Sockets refused at accept: banned, or without an address.', [
      [labels, refusedAtAccept],
    ]),
    counter('sluice_dry_refused_total', 'Refusals that dryRun only counted.', [[labels, dryRefused]]),
    counter('sluice_refunded_total', 'Charges taken back by countOnly.', [[labels, refunded]]),
    counter('sluice_recorded_total', 'Requests that the reputation or the monitor recorded.', [
      [labels, recorded],
    ]),
    counter('sluice_faults_total', 'Internal errors of the guard; each let its request pass.', [
      [labels, faults],
    ]),
  ];
}

/** The guard's limiter and those of its routes, without any that was destroyed. */
function limitersOf({ limiter }, { rateLimit, routes }) {
  const all = limiter === null ? routes : { [limiter.name]: rateLimit, ...routes };
  return Object.entries(all).filter(([, stats]) => stats !== null);
}

/**
 * The families of a limiter, each with the property of its statistics.
 *
 * @type {[Function, string, string, string][]}
 */
const LIMITER_FAMILIES = [
  [counter, 'sluice_limiter_allowed_total', 'Calls that a limiter allowed.', 'allowed'],
  [counter, 'sluice_limiter_refused_total', 'Calls that a limiter refused.', 'refused'],
  [counter, 'sluice_limiter_untracked_total', 'Calls for keys that were not stored.', 'untracked'],
  [
    counter,
    'sluice_limiter_live_evictions_total',
    'Clients evicted before they were fully replenished.',
    'liveEvictions',
  ],
  [gauge, 'sluice_limiter_blocked', 'Clients blocked now.', 'blocked'],
  [gauge, 'sluice_limiter_refusing', 'Clients whose next call is refused: an estimate.', 'refusing'],
  [gauge, 'sluice_limiter_size', 'Clients tracked now.', 'size'],
  [gauge, 'sluice_limiter_capacity', 'Most clients tracked at once.', 'capacity'],
];

function limiters(labels, all) {
  return LIMITER_FAMILIES.map(([family, name, help, property]) => {
    const samples = all.map(([limiter, stats]) => [{ ...labels, limiter }, stats[property]]);
    return family(name, help, samples);
  });
}

function connections(labels, stats) {
  if (stats === null) return [];
  const { count, opened, closed, refused, messages, bytes } = stats;
  return [
    gauge('sluice_connections', 'Connections open now.', [[labels, count]]),
    counter('sluice_connections_opened_total', 'Connections opened.', [[labels, opened]]),
    counter('sluice_connections_closed_total', 'Connections closed.', [[labels, closed]]),
    counter(
      'sluice_connections_refused_total',
      'Connections refused, by reason.',
      by('reason', labels, refused),
    ),
    counter('sluice_messages_total', 'Messages of connections.', by('outcome', labels, messages)),
    counter('sluice_message_bytes_total', 'Bytes of messages.', by('outcome', labels, bytes)),
  ];
}

function reputation(labels, stats) {
  if (stats === null) return [];
  const { failures, bans, manualBans, unbans, untracked, evicted, banned, ranges, size, capacity } = stats;
  return [
    counter('sluice_failures_total', 'Failures counted, by weight.', [[labels, failures]]),
    counter(
      'sluice_bans_total',
      'Bans, automatic and manual.',
      by('kind', labels, { automatic: bans, manual: manualBans }),
    ),
    counter('sluice_unbans_total', 'Bans ended by unban.', [[labels, unbans]]),
    counter('sluice_bans_untracked_total', 'Failures and bans that were not stored.', [[labels, untracked]]),
    counter(
      'sluice_reputation_evicted_total',
      'Clients evicted while their failures or bans still counted.',
      [[labels, evicted]],
    ),
    gauge('sluice_banned', 'Banned now.', by('kind', labels, { client: banned, range: ranges })),
    gauge('sluice_reputation_size', 'Clients tracked now.', [[labels, size]]),
    gauge('sluice_reputation_capacity', 'Most clients tracked at once.', [[labels, capacity]]),
  ];
}

function monitor(labels, stats) {
  if (stats === null) return [];
  const { recorded, alerts, muted, bans, bansFailed, clients, evictions } = stats;
  return [
    counter('sluice_events_total', 'Events recorded.', [[labels, recorded]]),
    counter('sluice_alerts_total', 'Alerts raised.', [[labels, alerts]]),
    counter('sluice_alerts_muted_total', 'Events that met a muted rule.', [[labels, muted]]),
    counter('sluice_alert_bans_total', 'Bans requested by rules.', [[labels, bans]]),
    counter('sluice_alert_bans_failed_total', 'Of them, those not carried out.', [[labels, bansFailed]]),
    counter('sluice_monitor_evictions_total', 'Clients evicted for new ones.', [[labels, evictions]]),
    gauge('sluice_monitor_clients', 'Clients tracked now.', [[labels, clients]]),
  ];
}

module.exports = { exposition };
