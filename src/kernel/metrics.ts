/** Prometheus metrics: one registry a process, created in the composition root and passed down. */
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client'

export type { Registry } from 'prom-client'

export const createRegistry = (): Registry => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'deuteron_' })
  return registry
}

export const counter = <L extends string>(registry: Registry, name: string, help: string, labelNames: L[] = []) =>
  new Counter({ name: `deuteron_${name}`, help, labelNames, registers: [registry] })

/** `collect` sets its values when they are asked for. */
export const gauge = <L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: L[] = [],
  collect?: () => void,
) => new Gauge({ name: `deuteron_${name}`, help, labelNames, registers: [registry], ...(collect && { collect }) })

/** Seconds; buckets from 0.5 ms to 10 s. */
export const duration = <L extends string>(registry: Registry, name: string, help: string, labelNames: L[] = []) =>
  new Histogram({
    name: `deuteron_${name}_seconds`,
    help,
    labelNames,
    registers: [registry],
    buckets: [0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 1, 2.5, 5, 10],
  })

/** All metrics of one process, as plain objects that may travel to another. */
export type Figures = readonly MetricObjectWithValues<MetricValue<string>>[]

export const figuresOf = (registry: Registry): Promise<Figures> => registry.getMetricsAsJSON()

/** The metrics of several processes as one text: counters, histograms and amounts are added up. */
export const summed = (each: readonly Figures[]): Promise<string> =>
  AggregatorRegistry.aggregate(each as object[]).metrics()
