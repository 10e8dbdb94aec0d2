/**
 * Alive: this process answers. It asks nobody: an orchestrator that restarts the gateway because a
 * model is down makes it worse.
 */
import { text } from '../reply.ts'
import type { Resource } from '../resource.ts'

export function healthz(): Resource {
  return { path: '/healthz', summary: 'alive: the process answers', get: () => text('ok\n') }
}
