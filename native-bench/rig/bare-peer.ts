/**
 * The floor of this stack as a peer (`bare.ts`): the same server and the same kind of socket with nothing between
 * them. What the gateway costs above it is its own doing; what it costs above nginx is the stack's.
 */
import { join } from 'node:path'
import type { Contender } from './contender.ts'
import { startServed } from './served.ts'

const ENTRY = join(import.meta.dirname, '../bare.js')

/** `readKib`: of what one read takes from the endpoint at most. */
export function startBarePeer(endpointPort: number, readKib: number): Promise<Contender> {
  return startServed({
    name: `bare ${readKib}`,
    prefix: '/models/bench',
    command: [process.execPath, ENTRY, String(endpointPort), String(readKib)],
    saysPort: true,
    signal: 'SIGKILL',
  })
}
