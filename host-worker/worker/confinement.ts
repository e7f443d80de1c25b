/**
 * The rights of a worker that takes workflow tasks alone, by Node's permission model: reading the program, the bundle
 * and its own credentials; no writing and no child processes. Temporal's sandbox does not confine workflow code.
 *
 * Nothing may be written, not even a temporary file: the SDK is a native addon, so addons have to be permitted, and a
 * file that the code could write could be loaded as one.
 *
 * @see https://nodejs.org/docs/latest-v24.x/api/permissions.html
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { BOOT_ID_FILE } from '../process/boot-id.ts'
import { PACKAGE_ROOT } from '../process/package-root.ts'
import type { WorkerPlan } from './worker-run.ts'

/** Node's flags for the process of such a worker. */
export function confinementFlags({ config, coordinator, bundle }: WorkerPlan): string[] {
  const { temporal, boot_id_file } = config
  const credentials = [temporal, 'url' in coordinator ? coordinator.tls : undefined].flatMap((files) =>
    files === undefined ? [] : [files.ca_file, files.cert_file, files.key_file],
  )
  const files = [bundle?.file, boot_id_file ?? BOOT_ID_FILE, temporal.api_key_file, ...credentials]
  const readable = [...programDirectories(), ...files.flatMap((file) => (file === undefined ? [] : [file]))]
  return ['--permission', '--allow-addons', '--allow-worker', ...readable.map((path) => `--allow-fs-read=${path}`)]
}

/** Where Resile's code and that of its dependencies is, which may be above it. */
function programDirectories(): string[] {
  const above = createRequire(join(PACKAGE_ROOT, 'package.json')).resolve.paths('resile') ?? []
  return [PACKAGE_ROOT, ...above.filter((directory) => existsSync(directory))]
}
