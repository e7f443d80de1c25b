import type { Context } from 'hono'
import type { Caller } from '../shared/callers.ts'
import type { Pass } from '../shared/route-rules.ts'
import type { Env } from './env.ts'
import type { Sender } from './integrations/identify-sender.ts'

/** What the steps before a route have found out about its request. */
export interface RequestState {
  caller: Caller
  /** What let the request pass; not there when it was refused. */
  pass?: Pass
  /** Of a request to a door for signed messages. */
  sender?: Sender
  requestId: string
  body: Uint8Array
}

/** Hono's type parameters of this app. */
export interface App {
  Bindings: Env
  Variables: RequestState
}

export type AppContext = Context<App>
