import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DataDirectoryInUse, lockDataDirectory } from './data-lock.ts'
import { runScript, temporaryDirectory, until } from './test-support.ts'

const holder = (directory: string) => `
  import { lockDataDirectory } from './data-lock.ts'
  await lockDataDirectory(${JSON.stringify(directory)})
  console.log('locked')
  setInterval(() => globalThis.gc?.(), 50)`

test("data lock: second holder → refused with the first one's pid", async () => {
  const directory = join(temporaryDirectory(), 'data')
  const { child, lines } = runScript(holder(directory), { NODE_OPTIONS: '--expose-gc' })
  await until(() => lines.includes('locked'))
  const refusal = await lockDataDirectory(directory).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(DataDirectoryInUse)
  expect(refusal).toMatchObject({ directory, pid: child.pid })
  expect(String(refusal)).toContain(`pid ${child.pid}`)
})

test('data lock: holder dies → free', async () => {
  const directory = temporaryDirectory()
  const { child, lines } = runScript(holder(directory))
  await until(() => lines.includes('locked'))
  child.kill('SIGKILL')
  await until(() => child.signalCode === 'SIGKILL')
  const lock = await lockDataDirectory(directory)
  lock.release()
})

test('data lock: released → can be taken again, also by this process', async () => {
  const directory = temporaryDirectory()
  const first = await lockDataDirectory(directory)
  await expect(lockDataDirectory(directory)).rejects.toThrow(DataDirectoryInUse)
  first.release()
  first.release()
  const second = await lockDataDirectory(directory)
  second.release()
})

test('data lock: unusable directory → another error', async () => {
  const file = join(temporaryDirectory(), 'file')
  writeFileSync(file, '')
  await expect(lockDataDirectory(file)).rejects.toThrow(/EEXIST|ENOTDIR/)
})
