import type { Context } from 'hono'
import type { Env } from '../env.ts'
import type { Caller } from '../identify.ts'

/** What the steps before a route have found out about its request. */
export interface RequestState {
  caller: Caller
  requestId: string
  body: Uint8Array
}

/** Hono's type parameters of this app. */
export interface App {
  Bindings: Env
  Variables: RequestState
}

export type AppContext = Context<App>
