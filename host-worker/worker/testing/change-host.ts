/** What the tests of changes share: a host with a journal, and orders for it. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Context } from '@temporalio/activity'
import type { MockActivityEnvironment } from '@temporalio/testing'
import { onTestFinished } from 'vitest'
import type { CommandConfig } from '../../../shared/config.ts'
import type { CommandHost } from '../activities/run-command.ts'
import { Journal } from '../journal/journal.ts'
import { activityEnvironment } from './activity-environment.ts'

/** A host in a directory of its own that is gone after the test. Its permits permit everything. */
export interface TestHost extends CommandHost {
  /** How often a permit was asked for. */
  asked: number
  /** The boot id that it shows. */
  boot: string
  /** When a change no longer waits for others, in milliseconds since the epoch. */
  waitsUntil: number
}

export function testHost(commands: Record<string, CommandConfig> = {}): TestHost {
  const directory = mkdtempSync(join(tmpdir(), 'resile-host-'))
  const journal = new Journal(join(directory, 'journal'))
  onTestFinished(() => {
    journal.close()
    rmSync(directory, { recursive: true, maxRetries: 5 })
  })
  const host: TestHost = {
    node: 'web-1',
    directory,
    commands,
    journal,
    asked: 0,
    boot: 'boot-1',
    waitsUntil: 0,
    bootId: async () => host.boot,
    permits: {
      async check() {
        host.asked += 1
        return { execution: Context.current().info.workflowExecution?.workflowId ?? '', waitsUntil: host.waitsUntil }
      },
    },
  }
  return host
}

/** A command of the allow-list. */
export function command(argv: string[], more: Partial<CommandConfig> = {}): CommandConfig {
  return {
    argv,
    timeout: 10_000,
    params: {},
    read_only: false,
    allow_options: false,
    workflows: ['restart-service'],
    ...more,
  }
}

/** The attempts at one order of an execution: each attempt is an activity environment of its own. */
export function order(workflowId: string = randomUUID()): () => MockActivityEnvironment {
  const workflowExecution = { workflowId, runId: randomUUID() }
  return () => activityEnvironment({ workflowExecution, activityId: '7' })
}
