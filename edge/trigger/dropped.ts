/** Signals that were dropped: their senders show the answer to nobody, so that operators have to find out here. */
import { log } from '../../shared/log.ts'
import type { SignalEpisode } from '../../shared/wire.ts'
import type { AppContext } from '../context.ts'
import type { ProblemCode } from '../http/problem.ts'
import { episodeOf, recordEpisodes } from './episodes.ts'

/**
 * Why signals were dropped: one request would have started too many, the sender had left some out, or a request was refused
 * as a whole, before anything in it was looked at.
 */
export type DropReason = 'too_many' | 'truncated' | 'request_refused'

/** Signals dropped since this isolate started; a refused request counts as one, since nobody knows how many were in it. */
const totals = new Map<string, { source: string; reason: DropReason; count: number }>()

/** How many signals were dropped since this isolate started, by source and reason. */
export function droppedSignals(): Iterable<{ source: string; reason: DropReason; count: number }> {
  return totals.values()
}

/** Logs and counts signals that were dropped. */
export function noteDropped(
  context: AppContext,
  source: string,
  reason: DropReason,
  count: number,
  detail: string,
): void {
  const { requestId, caller } = context.var
  const key = `${source} ${reason}`
  totals.set(key, { source, reason, count: (totals.get(key)?.count ?? 0) + count })
  log('error', 'signals_dropped', { request_id: requestId, caller, source, reason, signals: count, detail })
}

/** The episode of what was dropped unseen, or unsent: it has a place among the signals, though no detector is known. */
export function droppedEpisode(context: AppContext, source: string, name: string, code: string): SignalEpisode {
  const now = Date.now()
  const fingerprint = context.var.requestId
  const item = { execution: null, code }
  return episodeOf({ source, name, workflow: '', fingerprint, began: now, ended: now }, item)
}

/** The endpoints to which others push signals; a label of a metric must not be what a caller makes up. */
const SOURCE_PATH = /^\/v1\/triggers\/(alertmanager|cloudevents|pagerduty)$/
const REFUSED_WHOLE: ReadonlySet<ProblemCode> = new Set(['too_large', 'bad_request', 'unsupported_media_type'])

/** Notes a request with signals that was refused as a whole; only of callers that may send any. */
export function noteRefusedSignals(context: AppContext, code: ProblemCode, detail: string): void {
  const source = SOURCE_PATH.exec(context.req.path)?.[1]
  if (
    source === undefined ||
    context.req.method !== 'POST' ||
    context.var.pass === undefined ||
    !REFUSED_WHOLE.has(code)
  )
    return
  noteDropped(context, source, 'request_refused', 1, detail)
  recordEpisodes(context, [droppedEpisode(context, source, 'refused requests', code)])
}
