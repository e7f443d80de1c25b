import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { inCheckout } from './checkout.ts'

it('checkout: in use → not removed as a leftover', async () => {
  const parent = mkdtempSync(join(tmpdir(), 'resile-checkouts-'))
  onTestFinished(() => rmSync(parent, { recursive: true }))
  const source = { url: 'file:///none', revision: 'HEAD' }
  const git = async (): Promise<string> => ''
  const stillThere = await inCheckout(parent, source, git, async ({ directory }) => {
    await inCheckout(parent, source, git, async () => undefined)
    return existsSync(directory)
  })
  expect([stillThere, readdirSync(parent)]).toEqual([true, []])
})
