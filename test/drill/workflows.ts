/**
 * The workflows of a drill, and the limits that they are judged by. Both the project's HCL and the judge's rules are made
 * from this one list: a further workflow is one more entry. A further constraint kind is also a variant of {@link Rule},
 * and a case in `judge.ts`.
 */
import type { Constraint } from '../../shared/config.ts'

/** One limit, as its HCL says it. Counted in a datacenter, unless `per` or `global` says otherwise. */
export type Rule =
  | { kind: 'maxExecution'; value: number; seconds: number; per?: 'node'; global?: true }
  | { kind: 'concurrency'; value: number; per?: 'node'; global?: true }
  | { kind: 'exclusive' }
  | { kind: 'maxUnavailable'; value: number }

/** The constraint kinds that no workflow of a drill has, and why. */
export const NOT_DRILLED: Readonly<Record<Exclude<Constraint['kind'], Rule['kind']>, string>> = {
  maxFailure: 'the faults of a drill fail executions at random, so that no count of failures can be foretold',
}

export interface DrillWorkflow {
  /** One lower-case word: the workflow's name, and its type in Temporal too. */
  name: string
  target: 'node' | 'datacenter'
  /** The type of the nodes that it is sent to, `web` without: a workflow that needs idle nodes must not share theirs. */
  nodeType?: 'web' | 'db'
  /** In seconds. */
  validFor: number
  /** How often it is triggered, relative to the others. */
  share: number
  rules: readonly Rule[]
}

/** Long enough to outlive a round now and then, so that starts are pending over its end. */
const USUAL = 12

export const WORKFLOWS: readonly DrillWorkflow[] = [
  { name: 'free', target: 'datacenter', validFor: USUAL, share: 3, rules: [] },
  {
    name: 'window',
    target: 'datacenter',
    validFor: USUAL,
    share: 2,
    rules: [{ kind: 'maxExecution', value: 3, seconds: 20 }],
  },
  {
    name: 'nodewindow',
    target: 'node',
    validFor: USUAL,
    share: 2,
    rules: [{ kind: 'maxExecution', value: 2, seconds: 15, per: 'node' }],
  },
  { name: 'single', target: 'datacenter', validFor: USUAL, share: 2, rules: [{ kind: 'concurrency', value: 1 }] },
  {
    name: 'nodesingle',
    target: 'node',
    validFor: USUAL,
    share: 2,
    rules: [{ kind: 'concurrency', value: 1, per: 'node' }],
  },
  { name: 'pair', target: 'node', validFor: USUAL, share: 2, rules: [{ kind: 'concurrency', value: 2 }] },
  {
    name: 'both',
    target: 'node',
    validFor: USUAL,
    share: 2,
    rules: [
      { kind: 'maxExecution', value: 4, seconds: 12 },
      { kind: 'concurrency', value: 2 },
    ],
  },
  {
    name: 'layered',
    target: 'node',
    validFor: USUAL,
    share: 2,
    rules: [
      { kind: 'maxExecution', value: 5, seconds: 40 },
      { kind: 'maxExecution', value: 1, seconds: 10, per: 'node' },
    ],
  },
  {
    name: 'brief',
    target: 'datacenter',
    validFor: 3,
    share: 3,
    rules: [{ kind: 'maxExecution', value: 4, seconds: 8 }],
  },
  {
    name: 'everywhere',
    target: 'datacenter',
    validFor: USUAL,
    share: 4,
    rules: [{ kind: 'maxExecution', value: 3, seconds: 8, global: true }],
  },
  {
    name: 'together',
    target: 'datacenter',
    validFor: USUAL,
    share: 4,
    rules: [{ kind: 'concurrency', value: 2, global: true }],
  },
  { name: 'alone', target: 'node', validFor: USUAL, share: 4, rules: [{ kind: 'exclusive' }] },
  {
    name: 'drained',
    target: 'node',
    nodeType: 'db',
    validFor: USUAL,
    share: 4,
    rules: [{ kind: 'maxUnavailable', value: 1 }],
  },
]
