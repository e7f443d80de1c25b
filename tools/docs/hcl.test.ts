/** HCL in the documentation can be read, and has no key that a file of its kind does not have. */
import { expect, test } from 'vitest'
import { parseHcl } from '../../host-worker/config/hcl/parse.ts'
import { Source } from '../../host-worker/config/hcl/source.ts'
import type { Body } from '../../host-worker/config/hcl/tree.ts'
import { coordinatorSchema } from '../../shared/config/coordinator.ts'
import { detectorsSchema } from '../../shared/config/detectors.ts'
import { workerSchema } from '../../shared/config/worker.ts'
import { workflowSchema } from '../../shared/config/workflow.ts'
import { blocksOf, pages } from './markdown.ts'
import { keysOf } from './schema-keys.ts'

const known = [coordinatorSchema, detectorsSchema, workerSchema, workflowSchema].flatMap((schema) =>
  keysOf(schema).map(({ path }) => `.${path}`),
)
const blocks = pages()
  .flatMap(blocksOf)
  .filter(({ language }) => language === 'hcl')

test.each(blocks)('$page:$line: can be read, and has no unknown key', async ({ text }) => {
  const { problems, body } = parseHcl(new Source(text))
  expect(problems).toEqual([])
  // A block of a page may be any part of a file: where it is in the file is not known.
  const unknown = pathsOf(body ?? [], '').filter((path) => !known.some((one) => one.endsWith(path)))
  expect(unknown).toEqual([])
})

function pathsOf(body: Body, prefix: string): string[] {
  return body.flatMap((item) => {
    const path = `${prefix}.${item.name}`
    return item.form === 'block' ? [path, ...pathsOf(item.body, path)] : [path]
  })
}
