import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import { nodeArgs, until } from './test-support.ts'

/** A process whose launcher is this test, by the pipe that `close` closes. */
function launch(script: string) {
  const child = spawn(process.execPath, nodeArgs(`import { endWithParent } from './parent-watch.ts'\n${script}`), {
    cwd: import.meta.dirname,
    env: { ...process.env, RESILE_PARENT_FD: '3' },
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return { child, printed: () => text, close: () => child.stdio[3]?.destroy() }
}

test('the end of the launcher is a SIGTERM, so that the program stops in its own way', async () => {
  const { child, printed, close } = launch(`
    process.on('SIGTERM', () => { console.log('stopping'); process.exit(0) })
    endWithParent(); setInterval(() => {}, 1000); console.log('up')`)
  await until(() => printed().includes('up'))
  close()
  await until(() => child.exitCode === 0)
  expect(printed()).toContain('stopping')
})

test('a program that takes too long over it is killed', async () => {
  const { child, printed, close } = launch(`
    process.on('SIGTERM', () => {})
    endWithParent({ graceMs: 300 }); setInterval(() => {}, 1000); console.log('up')`)
  await until(() => printed().includes('up'))
  close()
  await until(() => child.signalCode === 'SIGKILL')
})

test('it keeps no program from ending, and hides itself from what that runs', async () => {
  const { child, printed } = launch(`endWithParent(); console.log('fd=' + process.env.RESILE_PARENT_FD)`)
  await until(() => child.exitCode === 0)
  expect(printed()).toContain('fd=undefined')
})
