// TypeScript. Prints the decisions on three requests.
import { type Decision, RateLimiter } from 'sluice';

const limiter = new RateLimiter('typed', { limit: 2, window: '1h' });
const decisions: Decision[] = [1, 2, 3].map(() => limiter.consume('client'));
// @ts-expect-error: a key is text
const refuses = () => limiter.tryConsume(1);
console.log(JSON.stringify({ allowed: decisions.map(({ allowed }) => allowed), refuses: typeof refuses }));
