// Medians: a round that another process has disturbed moves them little.

export function median(values) {
  return quantile(values, 0.5);
}

/** Half of the rounds lie within this share of the median, to either side. */
export function spread(values) {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / median(values);
}

/** The median over rounds of one case divided by another in the same round. */
export function ratio(samples, others) {
  return median(samples.map((sample, round) => sample / others[round]));
}

function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below + (above - below) * (at - Math.floor(at));
}
