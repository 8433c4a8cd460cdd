// Look-ups in the results.
import { OBJECTS } from './loads.mjs';

/** The row of a contender under a load; undefined if it was not measured. */
export function find(results, placement, name, { payload, inFlight }) {
  return results.find(
    (result) =>
      result.placement === placement &&
      result.name === name &&
      result.payload === payload &&
      result.inFlight === inFlight,
  );
}

export function measuredPlacements(results) {
  return [...new Set(results.map(({ placement }) => placement))];
}

export const ONE_AT_A_TIME = OBJECTS.find(({ inFlight }) => inFlight === 1);
export const HUNDRED = OBJECTS.find(({ inFlight }) => inFlight === 100);
