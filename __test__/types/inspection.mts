// What inspect() takes and returns.
import { type Inspection, type InspectOptions, inspect } from 'sluice';

const options: InspectOptions = { actions: true, showKey: (key) => key.slice(0, 3), title: 'shop' };
const inspection: Inspection = inspect(options);
const state: 'serving' | 'standby' | 'failed' | 'closed' = await inspection.ready();
const path: string | null = inspection.path;
const closed: Promise<void> = inspect().close();
console.log(state, inspection.state === state, path?.length, closed);

// @ts-expect-error: no such option
inspect({ readOnly: false });
// @ts-expect-error: a path is a text, and cannot be set
inspection.path = 'elsewhere';
