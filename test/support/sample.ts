/** The sample service of `npm start`, as a service manager would run it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atEnd } from './cleanup.ts'
import { repository, temporaryDirectory } from './files.ts'
import { type Running, run } from './processes.ts'

/** One that runs. */
export interface Sample {
  readonly pidFile: string
  /** How often it has been started. */
  starts(): number
}

/** The sample service, restarted whenever it exits. */
export function keepRunning(port: number): Sample {
  const pidFile = join(temporaryDirectory(), 'sample.pid')
  let wanted = true
  let starts = 0
  const start = () => {
    const running: Running = run(process.execPath, [
      join(repository, 'host-worker/dev/sample/service.ts'),
      String(port),
    ])
    starts += 1
    writeFileSync(pidFile, `${running.pid}\n`)
    // What was opened last is closed first: before this one is killed nobody wants another.
    atEnd(() => {
      wanted = false
    })
    void running.ended.then(() => wanted && start())
  }
  start()
  return { pidFile, starts: () => starts }
}
