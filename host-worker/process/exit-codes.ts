/** Exit codes of the command; the same for every subcommand. */
export const EXIT = { ok: 0, failed: 1, usage: 2, denied: 3, unreachable: 4, interrupted: 130 } as const

/** Thrown to end the command with a message on stderr and an exit code. */
export class CommandError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Ends the command because its options or arguments are wrong. */
export function usage(message: string): CommandError {
  return new CommandError(message, EXIT.usage)
}
