/** The coordinator's HTTP application: read → identify → authorise → route. */
import { Hono, type MiddlewareHandler } from 'hono'
import type { Config } from '../shared/config.ts'
import { log } from '../shared/log.ts'
import { authorise, isLogged } from './access/authorise.ts'
import { type Door, identify } from './access/identify.ts'
import { refuseForeignSites } from './access/same-site.ts'
import { readBody } from './http/body.ts'
import type { App } from './http/context.ts'
import { requestId } from './http/headers.ts'
import { decodedPath } from './http/path.ts'
import { ProblemError } from './http/problem.ts'
import { ROUTES } from './routes/table.ts'
import { identifySender } from './webhooks/identify.ts'

/** Makes the application for requests that come in by one door. */
export function createApp(config: Config, door: Door): Hono<App> {
  const app = new Hono<App>({ getPath: decodedPath })
  app.use(accessLog(config))
  app.use(async (context, next) => {
    const { method, path, raw } = context.req
    if (door === 'network') refuseForeignSites(raw.headers, context.env.HOSTS ?? null)
    const body = await readBody(raw)
    context.set('body', body)
    const caller = identify(config, door, raw)
    const sender = identifySender(config, context.env, caller, { method, path, headers: raw.headers, body })
    if (sender !== null) context.set('sender', sender)
    const identity = sender?.identity ?? caller
    context.set('caller', identity.caller)
    context.set('pass', authorise(config, identity, method, path))
    await next()
  })
  for (const route of ROUTES) app.on(route.method, route.path, (context) => route.handler(context, config))
  for (const [path, routes] of Map.groupBy(ROUTES, (route) => route.path)) {
    const methods = routes.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    app.all(path, (context) => {
      throw new ProblemError('method_not_allowed', `${context.req.path} takes ${methods.join(', ')}`, {
        headers: { allow: methods.join(', ') },
      })
    })
  }
  app.notFound(() => new ProblemError('not_found', 'there is nothing at this path').toResponse())
  app.onError((error, context) => {
    if (error instanceof ProblemError) return error.toResponse()
    log('error', 'request_failed', { request_id: context.var.requestId, detail: error.message, stack: error.stack })
    return new ProblemError('internal', 'an internal error; the log has it under this request id').toResponse()
  })
  return app
}

/** Writes one line per request, without bodies or secrets, and gives every answer its request id. */
function accessLog(config: Config): MiddlewareHandler<App> {
  return async function logAccess(context, next) {
    const id = requestId(context.req.raw.headers)
    context.set('requestId', id)
    const began = Date.now()
    await next()
    context.res.headers.set('x-request-id', id)
    const { method, path } = context.req
    if (!isLogged(config, method, path)) return
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
