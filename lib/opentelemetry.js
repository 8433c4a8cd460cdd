'use strict';

const { metrics: api } = require('@opentelemetry/api');
const { version } = require('../package.json');
const { guardNames } = require('./metrics/guard-names');
const { startObservation } = require('./observation');
const { LATENCIES, rowsOf } = require('./metrics/latency-families');
const { measureLatencies } = require('./metrics/measure-latencies');
const { DECLARED, processFamilies } = require('./metrics/process-families');
const { invalidOption } = require('./runtime/errors');
const { boolean, checkOptions } = require('./runtime/schema');

const OPTIONS = { guards: guardNames, histograms: boolean, meterProvider };

/** What a histogram has, each as a counter: OpenTelemetry has none that is observed. */
const ROWS = ['_bucket', '_sum', '_count'];

/**
 * Lets a meter of OpenTelemetry observe what guards and components of the process count. Returns a function that ends it.
 */
function register(options = {}) {
  const checked = checkOptions('register', options, OPTIONS);
  const { guards, histograms = false, meterProvider = api } = checked;
  startObservation();
  if (histograms) measureLatencies();
  const meter = meterProvider.getMeter('sluice', version);
  const instruments = instrumentsOf(meter, histograms);
  const observe = (result) => {
    for (const family of processFamilies({ guards, histograms })) report(family, instruments, result);
  };
  const all = [...instruments.values()];
  meter.addBatchObservableCallback(observe, all);
  return () => meter.removeBatchObservableCallback(observe, all);
}

/** By the names that Prometheus has for them. */
function instrumentsOf(meter, histograms) {
  const instruments = new Map();
  const add = (kind, name, description, unit) => {
    const make = kind === 'counter' ? 'createObservableCounter' : 'createObservableGauge';
    instruments.set(name, meter[make](nameOf(name), { description, unit }));
  };
  for (const { name, help, unit, type } of DECLARED) add(type, name, help, unit);
  if (!histograms) return instruments;
  for (const { name, help, unit } of LATENCIES) {
    for (const suffix of ROWS) add('counter', name + suffix, help, suffix === '_sum' ? unit : '');
  }
  return instruments;
}

/** `sluice.limiter_allowed` for `sluice_limiter_allowed_total`: exporters for Prometheus add the end. */
function nameOf(name) {
  return name.replace(/^sluice_/, 'sluice.').replace(/_total$/, '');
}

function report({ name, type, samples }, instruments, result) {
  if (type !== 'histogram') {
    for (const [labels, value] of samples) result.observe(instruments.get(name), value, labels);
    return;
  }
  for (const { suffix, labels, value } of samples.flatMap(rowsOf)) {
    result.observe(instruments.get(name + suffix), value, labels);
  }
}

function meterProvider(value, option) {
  if (typeof value?.getMeter === 'function') return value;
  throw invalidOption(option, value, 'a MeterProvider of OpenTelemetry');
}

module.exports = { register };
