/** Hono's type parameters of this app. */
import type { Context } from 'hono'
import type { Caller } from '../shared/callers.ts'
import type { Config } from '../shared/config.ts'
import type { Pass } from '../shared/route-rules.ts'
import type { Sender } from './access/sender.ts'
import type { Ledgers } from './ledgers.ts'

/** What middleware has established about a request before its handler runs. */
export interface RequestState {
  config: Config
  ledgers: Ledgers
  caller: Caller
  /** What authorised the request; absent when it was refused. */
  pass?: Pass
  /** The verified sender of a signed message; only set for endpoints that take signed messages. */
  sender?: Sender
  requestId: string
  body: Uint8Array
}

export interface App {
  Bindings: Env
  Variables: RequestState
}

export type AppContext = Context<App>
