/**
 * The floor of this stack as a peer (`bare.ts`): the same server and the same kind of socket with nothing between
 * them. What the gateway costs above it is its own doing; what it costs above nginx is the stack's.
 */
import { join } from 'node:path'
import { MEASURED_CORE, spawnPinned } from './bench-process.ts'
import type { Contender } from './contender.ts'
import { portSaid } from './port-said.ts'

const ENTRY = join(import.meta.dirname, '../bare.js')

/** `readKib`: of what one read takes from the endpoint at most. */
export async function startBarePeer(endpointPort: number, readKib: number): Promise<Contender> {
  const command = [process.execPath, ENTRY, String(endpointPort), String(readKib)]
  const child = spawnPinned(MEASURED_CORE, command, 'text')
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  const port = await portSaid(child)
  return { name: `bare ${readKib}`, port, prefix: '/models/bench', processes: () => [child.pid!], stop }
}
