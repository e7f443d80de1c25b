/** The sample service of `npm start`, and the configuration that watches and heals it. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DEV_FILE } from '../../net/dev-file.ts'
import { PACKAGE_ROOT } from '../../process/package-root.ts'
import type { ChildSpec } from '../../process/supervisor.ts'

/** The sample's port when it is free. */
export const SAMPLE_PORT = 8790

/** Directory of the sample's configuration, an overlay for a project. */
export function sampleOverlay(data: string): string {
  return join(data, 'sample')
}

/** The sample as a child of `resile dev`. */
export function sampleChild(port: number, data: string): ChildSpec {
  return {
    role: 'sample',
    name: 'sample',
    command: process.execPath,
    args: [join(PACKAGE_ROOT, 'host-worker/dev/sample/service.ts'), String(port)],
    restart: true,
    logFile: join(data, 'logs/sample.log'),
    ready: async (signal) => {
      await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.any([signal, AbortSignal.timeout(2000)]) })
    },
  }
}

/**
 * Writes worker.hcl and detectors.hcl for the sample: ordinary configuration, with the addresses of this run.
 *
 * @param node the node spec whose worker heals the sample; null: the default one
 * @returns the directory, an overlay for a project
 */
export async function writeSampleOverlay(data: string, port: number, node: string | null): Promise<string> {
  const directory = sampleOverlay(data)
  await mkdir(directory, { recursive: true })
  const url = `http://127.0.0.1:${port}/`
  const restart = [process.execPath, join(PACKAGE_ROOT, 'host-worker/dev/sample/restart.ts'), join(data, DEV_FILE)]
  await writeFile(
    join(directory, 'worker.hcl'),
    `# Written by npm start for its sample service.
command "restart-sample" {
  argv      = [${restart.map(hclText).join(', ')}]
  timeout   = "10s"
  workflows = ["restart-service"]
}
`,
  )
  await writeFile(
    join(directory, 'detectors.hcl'),
    `# Written by npm start for its sample service.
detector "sample" {
  workflow     = "restart-service"
  interval     = "2s"
  repeat_after = "1m"
  target { node = ${hclText(/^[^:@]*/.exec(node ?? 'local')?.[0] ?? '')} }
  input = {
    command = "restart-sample"
    check   = { url = ${hclText(url)} }
  }
  http_check {
    url     = ${hclText(url)}
    timeout = "2s"
  }
}
`,
  )
  return directory
}

function hclText(value: string): string {
  return JSON.stringify(value).replaceAll('${', '$${').replaceAll('%{', '%%{')
}
