'use strict';

const { guardNames } = require('./metrics/guard-names');
const { startObservation } = require('./observation');
const { LATENCIES, rowsOf } = require('./metrics/latency-families');
const { measureLatencies } = require('./metrics/measure-latencies');
const { DECLARED, processFamilies } = require('./metrics/process-families');
const { invalidOption } = require('./runtime/errors');
const { boolean, checkOptions, oneOf } = require('./runtime/schema');

const OPTIONS = { guards: guardNames, histograms: boolean, aggregate: oneOf('processes', 'threads') };

/** How prom-client joins pages: each process has its own counts, and all threads of a process have the same. */
const AGGREGATORS = { processes: 'sum', threads: 'first' };

/**
 * Adds what guards and components of the process count to a registry of prom-client, which is returned. It does not matter
 * which thread's registry is scraped.
 */
function register(registry, options = {}) {
  const { guards, histograms = false, aggregate = 'processes' } = checkOptions('register', options, OPTIONS);
  if (typeof registry?.registerMetric !== 'function' || typeof registry.getSingleMetric !== 'function') {
    throw invalidOption('register registry', registry, 'a Registry of prom-client');
  }
  startObservation();
  if (histograms) measureLatencies();
  const scrape = new Scrape({ guards, histograms });
  const families = histograms ? [...DECLARED, ...LATENCIES] : DECLARED;
  for (const family of families) add(registry, new Metric(family, scrape, AGGREGATORS[aggregate]));
  return registry;
}

/** Replaces a metric of an earlier call; prom-client refuses one of anything else. */
function add(registry, metric) {
  if (registry.getSingleMetric(metric.name) instanceof Metric) registry.removeSingleMetric(metric.name);
  registry.registerMetric(metric);
}

/** What one scrape reads: once for all metrics, which a registry asks for one after the other. */
class Scrape {
  #options;
  #families;

  constructor(options) {
    this.#options = options;
  }

  samplesOf(name) {
    if (this.#families === undefined) {
      const families = processFamilies(this.#options);
      this.#families = new Map(families.map((family) => [family.name, family.samples]));
      queueMicrotask(() => {
        this.#families = undefined;
      });
    }
    return this.#families.get(name) ?? [];
  }
}

/** A metric as registries of prom-client ask it for its values. */
class Metric {
  /** A registry of the OpenMetrics format renames counters. */
  name;
  help;
  type;
  aggregator;
  labelNames;
  #declaredName;
  #scrape;

  constructor({ name, help, type, labels }, scrape, aggregator) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.aggregator = aggregator;
    this.labelNames = labels;
    this.#declaredName = name;
    this.#scrape = scrape;
  }

  async get() {
    const { name, help, type, aggregator } = this;
    const samples = this.#scrape.samplesOf(this.#declaredName);
    const values =
      type === 'histogram' ? samples.flatMap((sample) => this.#rows(sample)) : samples.map(plain);
    return { name, help, type, aggregator, values };
  }

  /** Nothing: counts are those of the process, and last as long as it does. */
  reset() {}

  #rows(sample) {
    return rowsOf(sample).map(({ suffix, labels, value }) => {
      return { metricName: `${this.#declaredName}${suffix}`, labels, value };
    });
  }
}

function plain([labels, value]) {
  return { labels, value };
}

module.exports = { register };
