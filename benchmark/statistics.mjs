// Medians, which a disturbed round moves little.

/** Smaller ratios are within the variation between two runs on one machine. */
export const NOTICEABLE = 1.05;

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

/** The numbers below `length` in random order, so that noise affects all cases alike. */
export function shuffled(length) {
  const order = Array.from({ length }, (_, index) => index);
  for (let last = length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below + (above - below) * (at - Math.floor(at));
}
