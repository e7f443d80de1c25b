import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { bashCompletion, fishCompletion, zshCompletion } from './completions.ts'

/** What bash offers for the last of some words. */
function offered(...words: string[]): string[] {
  const script = `${bashCompletion()}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length - 1}
_resile
printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n')
}

test('bash: commands, commands of a group, options', () => {
  expect(offered('resile', 'coord')).toEqual(['coordinator'])
  expect(offered('resile', 'acl', '')).toEqual(['explain'])
  expect(offered('resile', 'coordinator', '--da')).toEqual(['--data'])
  expect(offered('resile', 'coordinator', '--project', 'x', '--li')).toEqual(['--listen'])
})

test('zsh, fish: every command is in them', () => {
  for (const text of [zshCompletion(), fishCompletion()]) {
    expect(text).toMatch(/'backup'|\bbackup\b/)
    expect(text).toContain('coordinator')
  }
})
