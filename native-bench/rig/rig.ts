/**
 * The stage of a measurement: one endpoint, one client, the contenders between them; taken down whatever happens.
 */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { BenchProcess } from './bench-process.ts'
import type { Contender } from './contender.ts'
import type { FromClient, FromEndpoint, StreamSettings, ToClient, ToEndpoint } from './messages.ts'

/** Of the sources; this file runs from the build below it. */
export const ROOT = resolve(import.meta.dirname, '../../..')
export const ENTRIES = resolve(import.meta.dirname, '..')

export interface Rig {
  readonly endpoint: BenchProcess<ToEndpoint, FromEndpoint>
  readonly endpointPort: number
  readonly client: BenchProcess<ToClient, FromClient>
  /** Taken down with the rig. */
  readonly contenders: Contender[]
}

export async function withRig<R>(settings: StreamSettings, work: (rig: Rig) => Promise<R>): Promise<R> {
  const endpoint = new BenchProcess<ToEndpoint, FromEndpoint>(join(ENTRIES, 'endpoint.js'), settings)
  const client = new BenchProcess<ToClient, FromClient>(join(ENTRIES, 'client.js'), {})
  const contenders: Contender[] = []
  try {
    const [{ port }] = await Promise.all([endpoint.ask('listening'), client.ask('ready')])
    return await work({ endpoint, endpointPort: port, client, contenders })
  } finally {
    for (const contender of contenders) await contender.stop()
    client.end()
    endpoint.end()
  }
}

/** Prints a result, and keeps it in a file where one is named. */
export function report(result: object, file: string | undefined): void {
  const text = `${JSON.stringify(result, null, 2)}\n`
  console.log(text)
  if (file !== undefined) writeFileSync(file, text)
}
