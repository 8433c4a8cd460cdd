import { clearInterval, setInterval } from 'node:timers';

const TICK = 2;

/** How late timers of this process are at most, in milliseconds: what the machine cannot hold, the fleet cannot. */
export function lateness() {
  let [last, worst] = [performance.now(), 0];
  const look = () => {
    const now = performance.now();
    worst = Math.max(worst, now - last - TICK);
    last = now;
  };
  const timer = setInterval(look, TICK).unref();
  return {
    /** So far. */
    get worst() {
      look();
      return worst;
    },
    end() {
      clearInterval(timer);
      return this.worst;
    },
  };
}
