/** Rejected attempts, for operators. */
import type { Rejection } from '../../shared/rejection.ts'
import type { Page } from '../../shared/wire.ts'
import { rejections } from '../access/rejections.ts'
import type { AppContext } from '../context.ts'
import { namedFilters } from '../http/paging.ts'
import type { Route } from '../route.ts'

export const rejectionRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/rejections',
    handler: listRejections,
    summary: 'Callers whose attempts were rejected since this process started, the latest first',
    answers: { 200: 'RejectionList' },
    problems: ['bad_request'],
  },
]

function listRejections(context: AppContext): Response {
  namedFilters(context.req.url, [])
  return context.json({ items: rejections.list(), next_cursor: null } satisfies Page<Rejection>)
}
