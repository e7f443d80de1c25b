/**
 * The parts of @prometheus-io/client that run in workerd: the package as a whole needs Node's `cluster`, its classes
 * don't, but they have no types.
 */
interface MetricOptions {
  name: string
  help: string
  labelNames?: readonly string[]
  registers?: readonly object[]
}

declare module '@prometheus-io/client/lib/registry.js' {
  export default class Registry {
    readonly contentType: string
    metrics(): Promise<string>
  }
}

declare module '@prometheus-io/client/lib/counter.js' {
  export default class Counter {
    constructor(options: MetricOptions)
    inc(labels: Record<string, string>, value: number): void
  }
}

declare module '@prometheus-io/client/lib/gauge.js' {
  export default class Gauge {
    constructor(options: MetricOptions)
    inc(value: number): void
    inc(labels: Record<string, string>, value: number): void
    set(labels: Record<string, string>, value: number): void
  }
}
