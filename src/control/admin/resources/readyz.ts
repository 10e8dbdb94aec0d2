/**
 * Ready for traffic: 200, or 503 with the checks that fail. `?verbose` lists all of them. 503 from the
 * moment a drain begins, so that load balancers leave before connections end.
 */
import { text } from '../reply.ts'
import type { AdminParts, ReadinessCheck, Resource } from '../resource.ts'

export function readyz({ readiness }: AdminParts): Resource {
  return {
    path: '/readyz',
    summary: 'ready for traffic, or 503 and why not; ?verbose lists every check',
    get: ({ query }) => {
      const { ready, draining, checks } = readiness()
      const serves = ready && !draining
      const shown = query.has('verbose') ? checks : checks.filter(({ ok }) => !ok)
      const word = serves ? 'ready' : draining ? 'not ready: draining' : 'not ready'
      return text([...shown.map(lineOf), word, ''].join('\n'), serves ? 200 : 503)
    },
  }
}

function lineOf({ name, ok, detail }: ReadinessCheck): string {
  return `[${ok ? '+' : '-'}] ${name}${detail === '' ? '' : `: ${detail}`}`
}
