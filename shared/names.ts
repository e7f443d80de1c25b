/**
 * Names of datacenters, nodes, node types and workflows, and the task queues built from them.
 *
 * Temporal's HTTP gateway routes on the *decoded* path, so a `/`, `%` or `..` in a name would be a path injection
 * there. Every endpoint therefore accepts only {@link NAME_PATTERN}, which leaves nothing to escape.
 */

/** One name: lower-case letters, digits, `.`, `_` and `-`, 1–63 characters, beginning with a letter or digit. */
const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** The rule for names, for error messages. */
export const NAME_RULE = '[a-z0-9][a-z0-9._-]{0,62} without ".."'

/** Whether `value` may name a datacenter, node, node type or workflow. */
export function isName(value: string): boolean {
  return NAME_PATTERN.test(value) && !value.includes('..')
}

/** The general queue, that any worker of the datacenter serves. */
export function datacenterQueue(datacenter: string): string {
  return datacenter
}

/** The queue of one node type within a datacenter. */
export function nodeTypeQueue(datacenter: string, nodeType: string): string {
  return `${datacenter}:type:${nodeType}`
}

/** The queue of one single node. */
export function nodeQueue(datacenter: string, node: string): string {
  return `${datacenter}:node:${node}`
}

/** The queues that a node serves: its datacenter's, one per type, and its own, in this order. */
export function queuesOfNode(datacenter: string, node: string, types: readonly string[]): string[] {
  return [
    datacenterQueue(datacenter),
    ...types.map((type) => nodeTypeQueue(datacenter, type)),
    nodeQueue(datacenter, node),
  ]
}
