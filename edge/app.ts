/** The coordinator's HTTP application: identify → authorise → read the body → verify the sender → limit → route. */
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { methodNotAllowed } from 'hono/method-not-allowed'
import { bodyLimit } from '../shared/body-limit.ts'
import { ANONYMOUS } from '../shared/callers.ts'
import type { Config } from '../shared/config.ts'
import { log } from '../shared/log.ts'
import { decodedPath } from '../shared/path.ts'
import { isLogged } from '../shared/route-rules.ts'
import { maySign } from '../shared/signed-paths.ts'
import { authorise } from './access/authorise.ts'
import { clientAuthOf, withoutBody } from './access/client-certificate.ts'
import { refuseCrossOrigin } from './access/cross-origin.ts'
import { identify, type Listener } from './access/identify.ts'
import { addressOf, LoadShedding } from './access/load-shedding.ts'
import { rejections } from './access/rejections.ts'
import { ROUTES } from './api/index.ts'
import type { App } from './context.ts'
import { readBody, tooLarge } from './http/body.ts'
import { requestId } from './http/headers.ts'
import { ProblemError } from './http/problem.ts'
import { verifySender } from './integrations/index.ts'
import { Ledgers } from './ledgers.ts'
import { noteRefusedSignals } from './trigger/dropped.ts'

/** Makes the application for requests that one listener receives. */
export function createApp(config: Config, listener: Listener): Hono<App> {
  const app = new Hono<App>({ getPath: (request) => decodedPath(request.url) })
  app.use(accessLog(config))
  const { server_config } = config.coordinator
  const shedding = listener === 'network' && server_config !== undefined ? new LoadShedding(server_config) : null
  if (shedding !== null) app.use(limitInFlight(shedding))
  app.use(async (context, next) => {
    const { method, path, raw } = context.req
    context.set('config', config)
    context.set('ledgers', new Ledgers(context.env, config))
    if (listener === 'network') refuseCrossOrigin(raw.headers, context.env.HOSTS ?? null)
    context.set('caller', ANONYMOUS)
    try {
      let identity = identify(config, listener, clientAuthOf(raw))
      context.set('caller', identity.caller)
      // Nobody who is refused anyway has a body read; a signature is only known with it.
      if (!maySign(method, path)) context.set('pass', authorise(config, identity, method, path))
      const missing = withoutBody(raw)
      if (missing === 'refused')
        throw new ProblemError('unauthenticated', 'the body was not read: the caller was refused')
      if (missing === 'too_large') throw tooLarge(bodyLimit(path))
      context.set('body', await readBody(raw, bodyLimit(path)))
      const signed = { method, path, headers: raw.headers, body: context.var.body }
      const sender = await verifySender(config, context.env, identity, signed)
      if (sender !== null) context.set('sender', sender)
      identity = sender?.identity ?? identity
      context.set('caller', identity.caller)
      context.set('pass', authorise(config, identity, method, path))
    } finally {
      // Invalid credentials count too, or they could be tried without limit.
      shedding?.count(context.var.caller, method, path, raw)
    }
    await next()
  })
  app.use(methodNotAllowed({ app, onMethodNotAllowed: refuseMethod }))
  for (const route of ROUTES) app.on(route.method, route.path, (context) => route.handler(context))
  app.notFound(() => new ProblemError('not_found', 'there is nothing at this path').toResponse())
  app.onError((error, context) => {
    if (error instanceof ProblemError) {
      noteRefusedSignals(context, error.code, error.message)
      return error.toResponse()
    }
    log('error', 'request_failed', { request_id: context.var.requestId, detail: error.message, stack: error.stack })
    return new ProblemError('internal', 'an internal error; see this request id in the log').toResponse()
  })
  return app
}

function refuseMethod({ req }: Context, methods: readonly string[]): Response {
  const allow = methods.join(', ')
  return new ProblemError('method_not_allowed', `${req.path} takes ${allow}`, { headers: { allow } }).toResponse()
}

/** Sheds requests while too many are in flight. */
function limitInFlight(shedding: LoadShedding): MiddlewareHandler<App> {
  return async function countInFlight(context, next) {
    const leave = shedding.enter(context.req.method, context.req.path)
    const answered = next().finally(leave)
    // A client that disconnects must not leave its request counted.
    context.executionCtx.waitUntil(answered)
    await answered
  }
}

function countRejection({ req, res, var: { caller, sender } }: Context<App>, address: string | null): void {
  if (res.status !== 401 && res.status !== 403) return
  const isUnsigned = sender !== undefined && 'refused' in sender
  const reason = isUnsigned ? 'bad_signature' : res.status === 401 ? 'unauthenticated' : 'forbidden'
  rejections.count(reason, caller ?? ANONYMOUS, address, req.path, Date.now())
}

/** Writes one line per request, without bodies or secrets, and gives every answer its request id and the time. */
function accessLog(config: Config): MiddlewareHandler<App> {
  return async function logAccess(context, next) {
    const id = requestId(context.req.raw.headers)
    context.set('requestId', id)
    const began = Date.now()
    await next()
    context.res.headers.set('x-request-id', id)
    // RFC 9110 6.6.1; workerd leaves it to us. Hosts compare their clocks with it.
    context.res.headers.set('date', new Date().toUTCString())
    const { method, path, raw } = context.req
    countRejection(context, addressOf(raw))
    if (!isLogged(config, method, path) || isRoutine(method, path, context.res.status)) return
    const { caller, pass } = context.var
    log('info', 'request', {
      request_id: id,
      method,
      path,
      status: context.res.status,
      caller,
      allowed: pass === undefined ? null : pass.by === 'rule' ? `rule ${pass.rule}` : pass.by,
      ms: Date.now() - began,
    })
  }
}

/** A heartbeat that was accepted: of a large fleet, there would be hardly any other lines. */
function isRoutine(method: string, path: string, status: number): boolean {
  return method === 'PUT' && path.startsWith('/v1/nodes/') && status < 300
}
