'use strict';

const { LIFECYCLE_STATES } = require('../runtime/layouts');
const { by, counter, gauge, oneOf } = require('./declare');

/** In a second. */
const MS = 1000;

const BREAKER = [
  counter(
    'sluice_breaker_calls_total',
    'Calls that were reported, by outcome.',
    by('outcome', ({ successes, failures }) => ({ success: successes, failure: failures })),
  ),
  counter('sluice_breaker_slow_calls_total', 'Of them, those longer than slowCallDuration.', 'slowCalls'),
  counter('sluice_breaker_refused_total', 'Calls that circuits refused.', 'refused'),
  counter('sluice_breaker_ignored_total', 'Reports that came too late to count.', 'ignored'),
  counter('sluice_breaker_opened_total', 'How often circuits opened by themselves.', 'opened'),
  counter('sluice_breaker_evicted_total', 'Closed circuits evicted for new targets.', 'evicted'),
  counter('sluice_breaker_untracked_total', 'Calls that passed uncounted, without a circuit.', 'untracked'),
  gauge(
    'sluice_breaker_circuits',
    'Circuits now, by state.',
    by('state', ({ peers }) => peers),
  ),
];

const sum = (peers, of) => peers.reduce((total, peer) => total + of(peer), 0);
const held = ({ waiting, inFlight }) => waiting + inFlight;

const BROKER = [
  gauge('sluice_broker_peers', 'Threads that have joined.', ({ peers }) => peers.length),
  gauge('sluice_broker_endpoints', 'Endpoints that are served.', ({ endpoints }) => endpoints.length),
  counter('sluice_broker_calls_total', 'Calls that were sent to a peer.', 'calls'),
  counter('sluice_broker_calls_refused_total', 'Calls that no peer had room for, or served.', 'refusedCalls'),
  gauge('sluice_broker_in_flight', 'Calls sent and not answered yet.', ({ peers }) =>
    sum(peers, ({ inFlight }) => inFlight),
  ),
  gauge('sluice_broker_waiting', 'Messages not taken from an inbox yet.', ({ peers }) =>
    sum(peers, ({ waiting }) => waiting),
  ),
  gauge('sluice_broker_fullest_inbox', 'Messages and calls held by the peer with most.', ({ peers }) =>
    Math.max(0, ...peers.map(held)),
  ),
  gauge('sluice_broker_inbox_capacity', 'Most messages and calls that a peer holds.', 'inbox'),
  counter(
    'sluice_broker_undecodable_total',
    'Messages that their receivers could not decode.',
    'undecodable',
  ),
];

const HUB = [
  counter(
    'sluice_hub_calls_total',
    'Calls for a value, by how they were answered.',
    by('outcome', ({ hits, stale, misses, rejected }) => ({ hit: hits, stale, miss: misses, rejected })),
  ),
  counter('sluice_hub_initialisations_total', 'Initialisers that began.', 'initialisations'),
  counter('sluice_hub_failures_total', 'Initialisers that failed.', 'failures'),
  counter('sluice_hub_timeouts_total', 'Initialisers that took too long.', 'timeouts'),
  counter('sluice_hub_handovers_total', 'How often a pending call took over.', 'handovers'),
  counter('sluice_hub_evictions_total', 'Values evicted for others.', 'evictions'),
  counter('sluice_hub_expired_total', 'Expired values that were removed.', 'expired'),
  counter('sluice_hub_too_large_total', 'Values not kept, as each exceeds maxBytes.', 'tooLarge'),
  gauge('sluice_hub_remembered_errors', 'Errors remembered now.', 'remembered'),
  gauge('sluice_hub_entries', 'Values kept now.', 'entries'),
  gauge('sluice_hub_bytes', 'Bytes of the values kept now.', 'bytes', 'By'),
  gauge('sluice_hub_waiting', 'Calls pending on the initialiser of another call.', 'waiting'),
  gauge('sluice_hub_initialising', 'Initialisers that run now.', 'initialising'),
];

const STATES = Object.keys(LIFECYCLE_STATES);

const LIFECYCLE = [
  gauge(
    'sluice_lifecycle_state',
    'State of a lifecycle: 1 for the one it has.',
    oneOf('state', STATES, ({ state }) => state),
  ),
  gauge('sluice_lifecycle_threads', 'Threads that take part.', ({ members }) => members.length),
  gauge('sluice_lifecycle_connections', 'Connections that a shutdown waits for.', ({ members }) =>
    sum(members, ({ connections }) => connections),
  ),
  gauge('sluice_lifecycle_tasks', 'Tracked work that a shutdown waits for.', ({ members }) =>
    sum(members, ({ tasks }) => tasks),
  ),
];

const REGISTRY = [
  gauge('sluice_registry_size', 'Keys in a registry.', 'size'),
  gauge('sluice_registry_version', 'Version of a registry: higher after each write.', 'version'),
];

const HIT_COUNTER = [
  gauge('sluice_hits_size', 'Keys whose window runs.', 'size'),
  gauge('sluice_hits_capacity', 'Most keys held at once.', 'capacity'),
  counter('sluice_hits_live_evictions_total', 'Keys evicted while their window ran.', 'liveEvictions'),
  counter('sluice_hits_untracked_total', 'Calls that found no slot for their key.', 'untracked'),
  counter('sluice_hits_saturated_total', 'Calls at an end of the range of counts.', 'saturated'),
];

const SEMAPHORE = [
  gauge('sluice_semaphore_permits', 'Permits of each key of a semaphore.', 'permits'),
  gauge('sluice_semaphore_held', 'Permits held now.', 'held'),
  gauge('sluice_semaphore_waiting', 'Calls that wait for permits now.', 'waiting'),
  counter('sluice_semaphore_acquired_total', 'Calls that received their permits.', 'acquired'),
  counter('sluice_semaphore_refused_total', 'Calls that were refused or timed out.', 'refused'),
  counter(
    'sluice_semaphore_taken_back_total',
    'Calls whose permits were taken back, as their thread did not accept them in time.',
    'takenBack',
  ),
];

const SHEDDER = [
  counter(
    'sluice_overload_admitted_total',
    'Requests that were not shed, by priority.',
    by('priority', ({ admitted }) => admitted),
  ),
  counter(
    'sluice_overload_shed_total',
    'Requests that were shed, by priority.',
    by('priority', ({ shed }) => shed),
  ),
  counter(
    'sluice_overload_laps_total',
    'Laps of event loops in which a request was decided on.',
    ({ laps }) => laps.count,
  ),
  counter(
    'sluice_overload_lap_seconds_total',
    'The length of these laps, in seconds.',
    ({ laps }) => laps.totalMs / MS,
    's',
  ),
  gauge('sluice_overload_threads', 'Threads that ask.', 'threads'),
  gauge('sluice_overload_threads_behind', 'Of them, those that are behind.', 'behind'),
  gauge(
    'sluice_overload_delay_seconds',
    'The longest of the last laps of all threads, in seconds.',
    ({ delayMs }) => delayMs / MS,
    's',
  ),
];

module.exports = { BREAKER, BROKER, HIT_COUNTER, HUB, LIFECYCLE, REGISTRY, SEMAPHORE, SHEDDER };
