/** Names of what is counted together. A workflow's and a node's name hold none of "/" and "@", so these can't meet. */

/** All executions of a workflow, or (with a node) those on one node. */
export function scopeName(workflow: string, node: string | null): string {
  return node === null ? workflow : `${workflow}@${node}`
}

/** The executions that would have run, of a workflow in shadow mode. */
export function shadowScopeName(workflow: string, node: string | null): string {
  return `shadow/${scopeName(workflow, node)}`
}

/** The scopes that an execution counts in. */
export function scopesOf(workflow: string, node: string | null): string[] {
  return node === null ? [scopeName(workflow, null)] : [scopeName(workflow, null), scopeName(workflow, node)]
}
