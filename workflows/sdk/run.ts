/** The facts of its run that a workflow gets as its second argument. */
export interface Run {
  /** Id of the execution, and of the decision that admitted it. */
  execution_id: string
  workflow: string
  datacenter: string
  target: { node?: string; node_type?: string; datacenter?: string }
  reason: string | null
  trigger: { source?: string; name?: string; fingerprint?: string } | null
}
