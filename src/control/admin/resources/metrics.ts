/** The Prometheus page; OpenMetrics for who asks for it by Accept. */
import type { AdminParts, Resource } from '../resource.ts'

export function metrics({ observatory }: AdminParts): Resource {
  return {
    path: '/metrics',
    summary: 'Prometheus text, or OpenMetrics by Accept',
    get: async ({ accept }) => {
      const { contentType, text } = await observatory.metrics(accept)
      return { status: 200, contentType, body: text, headers: { vary: 'accept' } }
    },
  }
}
