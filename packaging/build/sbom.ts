/**
 * The bill of materials of a package: the npm packages as npm lists them, and Node.
 *
 * @see https://cyclonedx.org/docs/1.5/json/
 */
import { createHash } from 'node:crypto'
import { execa } from 'execa'
import { z } from 'zod'

const documentSchema = z.looseObject({
  metadata: z.looseObject({ timestamp: z.string() }),
  components: z.array(z.looseObject({ 'bom-ref': z.string(), name: z.string(), version: z.string() })),
})

/**
 * @param repository has the lockfile
 * @param node version of the Node in the package
 * @param at in seconds since the epoch
 * @returns a CycloneDX document in JSON, the same for the same packages
 */
export async function sbom(repository: string, node: string, at: number): Promise<string> {
  const flags = ['--sbom-format=cyclonedx', '--sbom-type=application', '--omit=dev', '--package-lock-only']
  const { stdout } = await execa('npm', ['sbom', ...flags], { cwd: repository })
  const { metadata, components, ...rest } = documentSchema.parse(JSON.parse(stdout))
  const all = [
    ...components,
    { 'bom-ref': `node@${node}`, type: 'application', name: 'node', version: node, purl: `pkg:generic/node@${node}` },
  ]
  const document = {
    ...rest,
    // npm makes another one each time.
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(all))}`,
    metadata: { ...metadata, timestamp: new Date(at * 1000).toISOString() },
    components: all,
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

/** A UUID that a text determines (RFC 9562, version 8). */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
