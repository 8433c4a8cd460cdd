// Collectors for prom-client and OpenTelemetry.
import { metrics as api } from '@opentelemetry/api';
import { AggregatorRegistry, register as globalRegistry, Registry } from 'prom-client';
import { createGuard, type MetricsOptions, metrics } from 'sluice';
import { type ObserverOptions, register as observe } from 'sluice/opentelemetry';
import { type CollectorOptions, register } from 'sluice/prometheus';
import { type Equal, expect } from './equal.mjs';

const guard = createGuard();
const options: CollectorOptions = { guards: [guard, 'other'], histograms: true, aggregate: 'threads' };
const registry = register(new Registry(), options);
expect<Equal<typeof registry, Registry>>();
register(globalRegistry);
register(new AggregatorRegistry());
// @ts-expect-error: no registry
register({});
// @ts-expect-error: no such aggregation
register(registry, { aggregate: 'sum' });

const observed: ObserverOptions = { meterProvider: api, guards: [guard], histograms: true };
const end = observe(observed);
expect<Equal<ReturnType<typeof end>, void>>();
observe();
// @ts-expect-error: no provider of meters
observe({ meterProvider: {} });

const page: MetricsOptions = { guards: [guard], histograms: true };
expect<Equal<ReturnType<typeof metrics>, string>>();
metrics(page);
