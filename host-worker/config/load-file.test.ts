import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { coordinatorSchema, detectorsSchema, workerSchema, workflowSchema } from '../../shared/config.ts'
import { loadFile } from './load-file.ts'

const testdata = join(import.meta.dirname, 'testdata')
const schemas = {
  coordinator: coordinatorSchema,
  workflow: workflowSchema,
  worker: workerSchema,
  detectors: detectorsSchema,
}

// A bad file says in its first lines which errors it has: `# expect LINE:COLUMN KEY: beginning of the message`.
describe.each(Object.entries(schemas))('test data of %s', async (kind, schema) => {
  test.each(await readdir(join(testdata, kind)))('%s → the errors it names', async (name) => {
    const path = join(testdata, kind, name)
    const text = await readFile(path, 'utf8')
    const expected = [...text.matchAll(/^# expect (.*)$/gm)].map(([, line = '']) => line)
    const { problems, content } = await loadFile(path, name, schema, kind, true)
    const found = problems.map(({ line, column, key, message, permitted }) => {
      const list = permitted.length > 0 ? ` (permitted: ${permitted.join(', ')})` : ''
      return `${line}:${column} ${key}: ${message}${list}`
    })
    expect(found.map((text, index) => text.slice(0, expected[index]?.length))).toEqual(expected)
    expect(content === null).toBe(expected.length > 0)
  })
})
