/** The configuration in force as the gateway understood it: checked, defaults filled in, no secrets. */
import { plain } from '../plain.ts'
import { json } from '../reply.ts'
import type { AdminParts, Resource } from '../resource.ts'

export function config({ snapshot }: AdminParts): Resource {
  return {
    path: '/api/v1/config',
    summary: 'the configuration in force: generation, hash, every value with its default',
    get: () => {
      const { generation, hash, server, audit, scoring, models } = snapshot()
      return json({ generation, hash, config: plain({ server, audit, scoring, models }) })
    },
  }
}
