import { expect, test } from 'vitest'
import { createCgroup, removeCgroup } from './cgroup.ts'
import { runProcess } from './run-process.ts'
import { ESCAPES, order, runScript, sleeper, until } from './test-support.ts'

test.each(ESCAPES)('command that is cut off: child %s → ended too', async (_, script) => {
  const { command, pids } = sleeper()
  const cut = new AbortController()
  const ended = runProcess({ ...order(script(command)), signal: cut.signal })
  await until(() => pids().length > 0)
  cut.abort()
  expect(await ended).toMatchObject({ killed: true, survivors: [] })
  expect(pids()).toEqual([])
})

const cgroup = createCgroup()
if (cgroup !== null) removeCgroup(cgroup)

test.skipIf(cgroup === null)(
  'child in a control group below (where there are control groups) → ended too',
  async () => {
    const { command, pids } = sleeper()
    const script = `
    for group in $(find /sys/fs/cgroup -type d -name 'resile-command-*'); do
      grep -qx $$ $group/cgroup.procs && mkdir $group/below && echo 0 > $group/below/cgroup.procs
    done
    (env -i setsid ${command} &)
    while ! pgrep -f '${command.slice(5)}' > /dev/null; do :; done`
    await runProcess({ ...order(script), leavesNothing: true })
    expect(pids()).toEqual([])
  },
)

test('command that ends by itself: service it started → left', async () => {
  const { command, pids } = sleeper()
  expect(await runProcess(order(`setsid ${command} > /dev/null 2>&1 &`))).toMatchObject({ killed: false })
  await until(() => pids().length > 0)
})

test('command that may leave nothing: child that escaped → ended with it', async () => {
  const { command, pids } = sleeper()
  const started = `setsid ${command} > /dev/null 2>&1 & while ! pgrep -f '${command.slice(5)}' > /dev/null; do :; done`
  await runProcess({ ...order(started), leavesNothing: true })
  expect(pids()).toEqual([])
})

test('process that runs commands is killed → what they started is ended', async () => {
  const { command, pids } = sleeper()
  const script = `
    import { runProcess } from './run-process.ts'
    const order = ${JSON.stringify(order(`(setsid ${command} &); sleep 600`))}
    void runProcess({ ...order, signal: new AbortController().signal })`
  const { child } = runScript(script)
  await until(() => pids().length > 0)
  child.kill('SIGKILL')
  await until(() => pids().length === 0)
})
