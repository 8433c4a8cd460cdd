'use strict';

const { native } = require('../runtime/native');

/** Upper bounds of the buckets, in seconds; the same for every histogram. */
const BOUNDS = native.latencyBounds();

/** What a histogram is of, and by which label its instances are told apart. */
const LATENCIES = [
  histogram('sluice_guard_decision_seconds', 'Time until a guard has decided on a request.', 'guard'),
  histogram('sluice_limiter_decision_seconds', 'Time that a decision of a limiter takes.', 'scope'),
  histogram('sluice_broker_call_seconds', 'Time until a call of a broker is answered.', 'broker'),
];

const [GUARDS, LIMITERS, BROKERS] = LATENCIES;

/** A sample of a histogram is `[labels, { buckets, sum, count }]`, with one bucket more than there are bounds. */
function histogram(name, help, label) {
  return { type: 'histogram', name, help, unit: 's', labels: [label], samples: [] };
}

/** The histograms that have counted anything: of all, or of these guards only. */
function latencyFamilies(guardNames) {
  const { guards, limiters, brokers } = native.readLatencies();
  if (guardNames === undefined) return [of(GUARDS, guards), of(LIMITERS, limiters), of(BROKERS, brokers)];
  return [
    of(
      GUARDS,
      guards.filter(({ name }) => guardNames.includes(name)),
    ),
  ];
}

function of(family, latencies) {
  const [label] = family.labels;
  const samples = latencies.map(({ name, buckets, sum }) => {
    const count = buckets.reduce((total, bucket) => total + bucket, 0);
    return [{ [label]: name }, { buckets, sum, count }];
  });
  return { ...family, samples };
}

/** What pages have of a sample of a histogram: `{ suffix, labels, value }`, the buckets cumulative. */
function rowsOf([labels, { buckets, sum, count }]) {
  let total = 0;
  const rows = buckets.map((bucket, at) => {
    total += bucket;
    const le = at < BOUNDS.length ? String(BOUNDS[at]) : '+Inf';
    return { suffix: '_bucket', labels: { ...labels, le }, value: total };
  });
  return [...rows, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: count }];
}

module.exports = { BOUNDS, LATENCIES, latencyFamilies, rowsOf };
