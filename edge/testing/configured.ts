/** Applications with more configuration than the tests' own, and bound to more. */
import { createExecutionContext, env, waitOnExecutionContext } from 'cloudflare:test'
import compiled from 'resile:config'
import { type Config, documentSchema } from '../../shared/config.ts'
import type { Listener } from '../access/identify.ts'
import { createApp } from '../app.ts'
import type { Answer } from './coordinator.ts'

/** The tests' configuration, with this over its coordinator.hcl, and these workflows and detectors beside its own. */
export function configured({
  coordinator = {},
  workflows = {},
  detectors = {},
}: {
  coordinator?: object
  workflows?: object
  detectors?: object
}): Config {
  const base = compiled as { coordinator: object; workflows: object }
  return documentSchema.parse({
    ...base,
    coordinator: { ...base.coordinator, ...coordinator },
    workflows: { ...base.workflows, ...workflows },
    detectors,
  })
}

/** A `server_config` with rules that each let some callers make some requests. */
export function rules(
  ...list: { method?: string; route_patterns: string[]; uris?: string[]; allow_public?: boolean }[]
): {
  server_config: object
} {
  const route_rule = list.map((rule, index) => ({ name: `r${index}`, method: 'POST', ...rule }))
  return { server_config: { route_rule } }
}

/** Sends one POST to an application that was just created, and waits for everything that the request started. */
export async function post(
  config: Config,
  path: string,
  body: BodyInit,
  headers: Record<string, string> | [string, string][] | Headers,
  { bindings = {}, listener = 'network' }: { bindings?: object; listener?: Listener } = {},
): Promise<Answer> {
  const context = createExecutionContext()
  const request = new Request(`http://coordinator.test${path}`, { method: 'POST', headers, body })
  const bound = { ...(env as unknown as Record<string, unknown>), ...bindings }
  const response = await createApp(config, listener).fetch(request, bound, context)
  const text = await response.text()
  await waitOnExecutionContext(context)
  const parsed = text.startsWith('{') ? (JSON.parse(text) as Answer['body']) : ({ answer: text } as never)
  return { status: response.status, headers: response.headers, body: parsed }
}
