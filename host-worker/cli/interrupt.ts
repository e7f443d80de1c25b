/** What Ctrl-C does to a client command. */
import { EXIT } from '../process/exit-codes.ts'

const exit = (): never => process.exit(EXIT.interrupted)

/** What the next SIGINT does. */
let act: () => void = exit

/** Lets SIGINT end the process with exit code 130, unless {@link whileInterruptible} says otherwise. */
export function exitOnInterrupt(): void {
  // One listener for good: while a listener is replaced, a signal that has just arrived is lost.
  process.once('SIGINT', () => act())
}

/** Does some work, during which SIGINT does something else. */
export async function whileInterruptible<Result>(other: () => void, work: () => Promise<Result>): Promise<Result> {
  act = other
  try {
    return await work()
  } finally {
    act = exit
  }
}
