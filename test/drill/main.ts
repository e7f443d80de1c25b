/** `npm run drill`: does every limit hold, and is every promise kept, while everything fails that can? */
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../host-worker/process/exit-codes.ts'
import { endWithParent } from '../../host-worker/process/parent-watch.ts'
import { stopSignal } from '../../host-worker/process/stop-signal.ts'
import { raceVisibility } from './contrast.ts'
import { Fleet, type FleetNode } from './fleet.ts'
import { Histories } from './histories.ts'
import { isLate, judgeLimits, type Violation } from './judge.ts'
import { type DrillOptions, readOptions } from './options.ts'
import { planRound } from './plan.ts'
import { writeProject } from './project.ts'
import { Random } from './random.ts'
import {
  closingLines,
  countAnswers,
  countBy,
  type DrillReport,
  namesOf,
  type RoundReport,
  roundLine,
} from './report.ts'
import { runRound } from './round.ts'
import { Callers } from './triggers.ts'
import { judgeAll, judgeSoFar } from './verdict.ts'
import { WORKFLOWS } from './workflows.ts'

const DATACENTERS = ['ams', 'fra', 'lhr', 'nrt']

endWithParent()
const options = readOptions(process.argv.slice(2))
process.exit(typeof options === 'number' ? options : await main(options))

async function main(options: DrillOptions): Promise<number> {
  const stopped = stopSignal()
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'resile-drill-')))
  let keep = true
  try {
    const report = await drill(options, directory, stopped)
    const failed = report.violations.length + report.lost.length + report.doubled.length > 0
    keep = failed
    for (const line of closingLines(report)) say(options, line)
    if (options.json) console.log(JSON.stringify(report))
    return failed ? EXIT.failed : EXIT.ok
  } catch (error) {
    keep = !stopped.aborted
    if (stopped.aborted) {
      console.error(`stopped by ${String(stopped.reason)}`)
      return 130
    }
    console.error(`the drill could not go on: ${error instanceof Error ? error.stack : String(error)}`)
    return EXIT.failed
  } finally {
    if (keep) console.error(`everything that was recorded is in ${directory}`)
    else await rm(directory, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Runs all rounds and judges them. Rejects when it is stopped, or can't go on. */
async function drill(options: DrillOptions, directory: string, stopped: AbortSignal): Promise<DrillReport> {
  const began = Date.now()
  const datacenters = DATACENTERS.slice(0, options.datacenters)
  const nodes = nodesOf(datacenters)
  say(options, `drill with --seed ${options.seed} --rounds ${options.rounds} --datacenters ${options.datacenters}`)
  const project = join(directory, 'project')
  await writeProject(project, datacenters, WORKFLOWS)
  stopped.throwIfAborted()
  const broken = new AbortController()
  const signal = AbortSignal.any([stopped, broken.signal])
  const onDeath = (reason: string) => broken.abort(new Error(`resile dev ended by itself: ${reason}`))
  const fleet = await Fleet.start(project, join(directory, 'data'), nodes, onDeath, signal)
  try {
    const callers = new Callers(fleet.coordinator, signal)
    const { sent } = callers
    const histories = new Histories(
      fleet.temporal,
      WORKFLOWS.map(({ name }) => name),
    )
    const random = new Random(options.seed)
    const rounds: RoundReport[] = []
    for (let number = 1; number <= options.rounds; number++) {
      const plan = planRound(random, number, WORKFLOWS, nodes)
      const before = { at: Date.now(), sent: sent.length, started: histories.runs.length }
      const notRecovered = await runRound(fleet, callers, plan, signal)
      await histories.refresh()
      const report: RoundReport = {
        round: number,
        faults: namesOf(plan),
        triggers: sent.length - before.sent,
        answers: countAnswers(sent.slice(before.sent)),
        started: histories.runs.length - before.started,
        notRecovered,
        violations: judgeSoFar(WORKFLOWS, sent, histories).length,
        seconds: (Date.now() - before.at) / 1000,
      }
      rounds.push(report)
      say(options, roundLine(report))
    }
    const violations = await judgeAll(fleet, WORKFLOWS, sent, histories, signal)
    const late = histories.runs.filter(isLate)
    const started = histories.runs.filter((run) => !isLate(run))
    const has = (...invariants: Violation['invariant'][]) =>
      violations.filter(({ invariant }) => invariants.includes(invariant))
    return {
      seed: options.seed,
      datacenters,
      rounds,
      triggers: sent.length,
      answers: countAnswers(sent),
      started: started.length,
      startedOf: countBy(started, ({ type }) => type),
      late: {
        delivered: fleet.line.lateDeliveries,
        started: late.length,
        overLimit: judgeLimits(WORKFLOWS, histories.runs).length - has('I1').length,
      },
      violations: has('I1', 'I2', 'I3'),
      lost: has('lost'),
      doubled: has('doubled'),
      contrast: options.contrast ? await raceVisibility(fleet.temporal) : null,
      seconds: (Date.now() - began) / 1000,
    }
  } catch (error) {
    // Why it broke says more than what broke with it.
    throw broken.signal.aborted ? broken.signal.reason : error
  } finally {
    await fleet.stop()
  }
}

/** One node in each datacenter, and in the first one another, and two of another type. */
function nodesOf(datacenters: readonly string[]): FleetNode[] {
  const [first = ''] = datacenters
  const web = [first, ...datacenters].map((datacenter, index) => ({ name: `web-${index + 1}`, datacenter }))
  const db = [first, first].map((datacenter, index) => ({ name: `db-${index + 1}`, datacenter }))
  return [
    ...web.map((node) => ({ ...node, type: 'web' as const })),
    ...db.map((node) => ({ ...node, type: 'db' as const })),
  ]
}

function say({ json }: DrillOptions, line: string): void {
  if (json) console.error(line)
  else console.log(line)
}
