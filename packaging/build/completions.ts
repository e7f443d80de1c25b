/** Completions of the `resile` command for shells, from its definition. */
import { type Verb, verbs } from '../../tools/docs/cli-page.ts'

/** What may follow some words of a command line. */
interface Candidates {
  words: string
  candidates: readonly string[]
}

/** For bash, by the package bash-completion. */
export function bashCompletion(): string {
  const cases = candidates().map(({ words, candidates: all }) => `    '${words}') words='${all.join(' ')}' ;;`)
  return `# bash completion for resile
_resile() {
  local words='' path='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && break
    path="\${path:+$path }$word"
  done
  case $path in
${cases.join('\n')}
    *) words='' ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _resile resile
`
}

/** For zsh. */
export function zshCompletion(): string {
  const cases = candidates().map(
    ({ words, candidates: all }) => `    '${words}') compadd -- ${all.map((one) => `'${one}'`).join(' ')} ;;`,
  )
  return `#compdef resile
local path_so_far='' word
for word in "\${(@)words[2,CURRENT-1]}"; do
  [[ $word == -* ]] && break
  path_so_far="\${path_so_far:+$path_so_far }$word"
done
case $path_so_far in
${cases.join('\n')}
    *) _files ;;
esac
`
}

/** For fish. */
export function fishCompletion(): string {
  const lines = candidates().map(({ words, candidates: all }) => {
    const condition = words === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${words.split(' ').at(-1)}`
    return `complete -c resile -n '${condition}' -a '${all.join(' ')}'`
  })
  return `# fish completion for resile\n${lines.join('\n')}\n`
}

function candidates(): Candidates[] {
  const all = verbs()
  const groups = new Map<string, Set<string>>()
  for (const { words } of all) {
    for (const [index, word] of words.entries()) {
      const before = words.slice(0, index).join(' ')
      groups.set(before, (groups.get(before) ?? new Set()).add(word))
    }
  }
  return [
    ...[...groups].map(([words, next]) => ({ words, candidates: [...next] })),
    ...all.map((verb) => ({ words: verb.words.join(' '), candidates: optionsOf(verb) })),
  ]
}

function optionsOf({ command }: Verb): string[] {
  return command.options.flatMap(({ long, hidden }) => (hidden || long === undefined || long === null ? [] : [long]))
}
