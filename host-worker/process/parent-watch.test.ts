import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import { nodeArgs, runs, until } from './test-support.ts'

/** A process whose launcher is this test, by the pipe that `close` closes. */
function launch(script: string) {
  const child = spawn(
    process.execPath,
    nodeArgs(`import { endWithParent, parentEnvironment } from './parent-watch.ts'\n${script}`),
    {
      cwd: import.meta.dirname,
      env: { ...process.env, RESILE_PARENT_FD: '3' },
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    },
  )
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return { child, printed: () => text, close: () => child.stdio[3]?.destroy() }
}

test('launcher ends → SIGTERM, program stops by itself', async () => {
  const { child, printed, close } = launch(`
    process.on('SIGTERM', () => { console.log('stopping'); process.exit(0) })
    endWithParent(); setInterval(() => {}, 1000); console.log('up')`)
  await until(() => printed().includes('up'))
  close()
  await until(() => child.exitCode === 0)
  expect(printed()).toContain('stopping')
})

test('launcher ends, program too slow → killed', async () => {
  const { child, printed, close } = launch(`
    process.on('SIGTERM', () => {})
    endWithParent({ graceMs: 300 }); setInterval(() => {}, 1000); console.log('up')`)
  await until(() => printed().includes('up'))
  close()
  await until(() => child.signalCode === 'SIGKILL')
})

test('parent watch: running → keeps no program from ending, hidden from its children', async () => {
  const { child, printed } = launch(`endWithParent(); console.log('fd=' + process.env.RESILE_PARENT_FD)`)
  await until(() => child.exitCode === 0)
  expect(printed()).toContain('fd=undefined')
})

test('launcher ends, program replaced → ends too', async () => {
  // The one in between is the launcher; it dies at once.
  const { child, printed } = launch(`
    import { spawn } from 'node:child_process'
    const script = \`
      import { endWithParent, parentEnvironment } from './parent-watch.ts'
      const places = Number(process.argv[1])
      process.on('SIGTERM', () => { console.log('stopping'); process.exit(0) })
      endWithParent()
      if (places > 0) {
        const { argv, execArgv, execPath, env } = process
        process.execve(execPath, [execPath, ...execArgv, '0'], { ...env, ...parentEnvironment() })
      }
      setInterval(() => {}, 1000); console.log('up ' + process.pid)\`
    const last = spawn(process.execPath, ['--input-type=module', '--eval', script, '1'], {
      env: { ...process.env, RESILE_PARENT_FD: '3' }, stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    })
    console.log('last ' + last.pid)
    last.stdout.pipe(process.stdout)
    setInterval(() => {}, 1000)`)
  await until(() => printed().includes('up'))
  const [, pid] = /last (\d+)/.exec(printed()) ?? []
  expect(printed()).toContain(`up ${pid}`)
  child.kill('SIGKILL')
  await until(() => !runs(Number(pid)))
})
