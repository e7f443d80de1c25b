import { datacentersOf } from '../../shared/config.ts'
import { isName, NAME_RULE } from '../../shared/names.ts'
import type { Project } from '../config/project.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'

/** A node that `resile dev` runs a worker for. */
export interface DevNode {
  name: string
  types: string[]
  datacenter: string
}

/**
 * The nodes of a dev run: those named on the command line, else worker.hcl's, else one called `local`.
 *
 * @throws CommandError `usage` for what is no `NAME[:TYPE[,TYPE…]][@DC]`
 */
export function devNodes(specs: readonly string[], project: Project): DevNode[] {
  const owned = datacentersOf(project.coordinator)
  const first = owned[0] ?? ''
  const { worker } = project
  if (specs.length === 0) {
    if (worker === null) return [{ name: 'local', types: ['local'], datacenter: first }]
    return [checked({ name: worker.node, types: worker.types, datacenter: worker.datacenter }, owned, 'worker.hcl')]
  }
  const nodes = specs.map((spec) => {
    const match = /^([^:@]*)(?::([^@]*))?(?:@(.*))?$/.exec(spec)
    const [, name = '', types, datacenter] = match ?? []
    return checked(
      { name, types: types === undefined ? [] : types.split(','), datacenter: datacenter ?? first },
      owned,
      `--node ${spec}`,
    )
  })
  const twice = nodes.find((node, index) => nodes.findIndex(({ name }) => name === node.name) !== index)
  if (twice !== undefined) throw new CommandError(`--node names ${twice.name} twice`, EXIT.usage)
  return nodes
}

function checked(node: DevNode, owned: readonly string[], source: string): DevNode {
  for (const name of [node.name, ...node.types]) {
    if (!isName(name))
      throw new CommandError(`${source}: ${JSON.stringify(name)} is not a name: ${NAME_RULE}`, EXIT.usage)
  }
  if (!owned.includes(node.datacenter)) {
    throw new CommandError(`${source}: the coordinator serves ${owned.join(', ')}, not ${node.datacenter}`, EXIT.usage)
  }
  return node
}
