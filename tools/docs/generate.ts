/** `npm run docs`: writes the generated pages. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PACKAGE_ROOT } from '../../host-worker/process/package-root.ts'
import { generatedPages } from './generated.ts'

for (const [path, text] of Object.entries(generatedPages())) {
  writeFileSync(join(PACKAGE_ROOT, path), text)
  console.log(path)
}
