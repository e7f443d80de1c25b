import { expect, test } from 'vitest'
import { isExecutable } from './program.ts'

test.each([
  ['usr/bin/resile', true],
  ['bin/resile', true],
  ['usr/lib/resile/bin/node', true],
  ['usr/lib/resile/node_modules/@cloudflare/workerd-linux-64/bin/workerd', true],
  ['usr/lib/resile/node_modules/@esbuild/linux-arm64/bin/esbuild', true],
  ['DEBIAN/postinst', true],
  ['usr/lib/resile/node_modules/terser/bin/terser', false],
  ['usr/lib/resile/node_modules/workerd/bin/workerd', false],
  ['usr/lib/resile/bin/LICENSE.node', false],
])('%s → executable: %s', (path, expected) => expect(isExecutable(path)).toBe(expected))
