import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ActivityCancellationDetails } from '@temporalio/common'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TestRevisionReport } from '../../../../workflows/sdk/activities.ts'
import { identify } from '../../../process/process-identity.ts'
import { type TestHost as AskedHost, command, order, testHost } from '../../testing/change-host.ts'
import { type TestHost, testRevisionActivity } from './activity.ts'

let origin: string
let head: string
beforeAll(() => {
  origin = mkdtempSync(join(tmpdir(), 'resile-origin-'))
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: origin, encoding: 'utf8' })
  git('init', '--quiet', '--initial-branch=main')
  git('config', 'uploadpack.allowAnySHA1InWant', 'true')
  writeFileSync(join(origin, 'result'), 'good\n')
  git('add', '.')
  git('commit', '--quiet', '-m', 'one')
  writeFileSync(join(origin, 'result'), 'bad\n')
  git('commit', '--quiet', '-am', 'two')
  head = git('rev-parse', 'HEAD').trim()
  git('update-ref', 'refs/pull/7/head', 'HEAD')
  git('update-ref', 'refs/pull/6/head', 'HEAD~1')
  return () => rmSync(origin, { recursive: true })
})

function host(): TestHost & AskedHost {
  const plain = testHost({
    unit: command(['sh', '-c', 'echo in $(pwd) home $HOME; ls ~; grep -q good result']),
    slow: command(['sh', '-c', 'echo begun; sleep 60']),
    other: command(['true']),
  })
  const revisions = '^(?:[0-9a-f]{40}|refs/pull/[0-9]+/head)$'
  return Object.assign(plain, {
    data: join(plain.directory, 'data'),
    repositories: { shop: { url: origin, revisions, tests: ['unit', 'slow'] } },
  })
}

const run = (on: TestHost, request: object, environment = order()()): Promise<TestRevisionReport> =>
  environment.run(testRevisionActivity(on), {
    repository: 'shop',
    revision: 'refs/pull/6/head',
    test: 'unit',
    ...request,
  })
const left = (on: TestHost): string[] =>
  existsSync(join(on.data, 'checkouts')) ? readdirSync(join(on.data, 'checkouts')) : []

describe('revision', () => {
  it('branch → tested in its own directory, removed afterwards', async () => {
    const on = host()
    const { test } = await run(on, {})
    expect(test).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(join(on.data, 'checkouts')) })
    expect(left(on)).toEqual([])
  })

  it('commit → tested, failure reported', async () => {
    const on = host()
    expect(await run(on, { revision: head })).toMatchObject({ commit: head, test: { exitCode: 1 } })
    expect(left(on)).toEqual([])
  })

  it('missing → not tested', async () => {
    const on = host()
    await expect(run(on, { revision: 'refs/pull/99/head' })).rejects.toMatchObject({ type: 'CheckoutFailed' })
    expect(left(on)).toEqual([])
  })

  it.each([
    [{ repository: 'other' }, 'RepositoryNotAllowed'],
    [{ repository: '__proto__' }, 'RepositoryNotAllowed'],
    [{ revision: 'main' }, 'RevisionNotAllowed'],
    [{ revision: '--upload-pack=touch /tmp/x' }, 'RevisionNotAllowed'],
    [{ test: 'other' }, 'CommandNotAllowed'],
  ])('not allowed by the host: %j → refused', async (request, type) => {
    const on = host()
    await expect(async () => run(on, request)).rejects.toMatchObject({ type })
    expect(on.asked).toBe(0)
  })

  it('cancelled → nothing left behind', async () => {
    const on = host()
    const environment = order()()
    const running = run(on, { test: 'slow' }, environment)
    running.catch(() => undefined)
    await expect.poll(() => left(on).length).toBe(1)
    environment.cancel('CANCELLED', new ActivityCancellationDetails({ cancelRequested: true }))
    await expect(running).rejects.toThrow('cancelled')
    expect(left(on)).toEqual([])
  })

  it('over → no process left, outcome kept even if not removable', async () => {
    const on = host()
    Object.assign(on.commands, {
      slow: command(['sh', '-c', 'sleep 60 & echo $!; mkdir -p closed/below; touch closed/below/file; chmod 0 closed']),
    })
    const { test } = await run(on, { test: 'slow' })
    expect(test).toMatchObject({ exitCode: 0 })
    expect(identify(Number(test.stdout))).toBeUndefined()
    expect(left(on)).toEqual([])
  })

  it('worker died → leftovers removed', async () => {
    const on = host()
    mkdirSync(join(on.data, 'checkouts/checkout-old/tree'), { recursive: true })
    await run(on, {})
    expect(left(on)).toEqual([])
  })
})
