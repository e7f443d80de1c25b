/**
 * Restarts the sample service, as `systemctl restart` would a real one: kills the process that `resile dev` runs it in,
 * which then starts it again. Its one argument is the path of dev.json.
 */
import { readFileSync } from 'node:fs'
import type { DevFile } from '../../net/dev-file.ts'

const { processes } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as DevFile
const sample = processes.find(({ role }) => role === 'sample')
if (sample === undefined || !isSample(sample.pid)) {
  console.log('the sample service is being started already')
} else {
  // Also ends one that is stopped (SIGSTOP) or doesn't listen to SIGTERM.
  process.kill(sample.pid, 'SIGKILL')
  console.log(`killed the sample service, process ${sample.pid}; its supervisor starts it again`)
}

/** Whether that process is the sample: it may have ended, and its number been given to another. */
function isSample(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('sample/service.ts')
  } catch {
    return false
  }
}
