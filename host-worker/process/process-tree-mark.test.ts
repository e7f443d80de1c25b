import { expect, test, vi } from 'vitest'
import { runProcess } from './run-process.ts'
import { ESCAPES, order, sleeper, until } from './test-support.ts'

vi.mock('./cgroup.ts', async (original) => ({ ...(await original<object>()), createCgroup: () => null }))

/** Only a control group finds what has lost its environment and its parents. */
const found = ESCAPES.filter(([name]) => !name.includes('its parents gone'))

test.each(found)('command that is cut off, without control groups: child %s → ended too', async (_, script) => {
  const { command, pids } = sleeper()
  const cut = new AbortController()
  const ended = runProcess({ ...order(script(command)), signal: cut.signal })
  await until(() => pids().length > 0)
  cut.abort()
  expect(await ended).toMatchObject({ killed: true, survivors: [] })
  expect(pids()).toEqual([])
})
