/** One metric that a process serves; docs/reference/metrics.md is generated from these definitions. */
export interface MetricDefinition {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly labelNames: readonly string[]
}

/** The metrics of one process, by the name that its code has for them. */
export type MetricCatalogue = Readonly<Record<string, MetricDefinition>>
