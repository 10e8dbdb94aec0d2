/**
 * Requests whose copies are looked at. A gateway that a busy machine leaves short of time does without copies, and rightly
 * so (fate `overload`, ARCHITECTURE.md "Pressure"): such a request tells nothing of its shadows and is asked again.
 */
import type { ShadowFound } from '../../src/audit/find.ts'
import type { Told } from './ask.ts'
import { eventually } from './eventually.ts'
import { metricsOf } from './read-metrics.ts'
import { shadowsOf } from './read-records.ts'
import type { TestGateway } from './start-gateway.ts'

type Looked = Pick<TestGateway, 'admin' | 'dataDir'>
type Headed = Pick<Told, 'headers'>

export interface Shadowed<T> {
  readonly told: T
  readonly shadows: readonly ShadowFound['shadow'][]
}

const TRIES = 50

/** The answer, and what became of its `count` copies. */
export async function askShadowed<T extends Headed>(
  gateway: Looked,
  ask: () => Promise<T>,
  count = 1,
): Promise<Shadowed<T>> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const told = await ask()
    const shadows = await shadowsOf(gateway.dataDir, told.headers['modelgate-request-id'], count)
    if (!shadows.some(({ fate }) => fate === 'overload')) return { told, shadows }
    await calm(gateway)
  }
  throw new Error('the gateway is always under pressure')
}

/** Asks until `isThere` tells that the copy has arrived: the answer of that request. */
export async function askUntilCopied(
  gateway: Looked,
  ask: () => Promise<Told>,
  isThere: () => boolean,
): Promise<Told> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const before = await withoutCopy(gateway)
    const told = await ask()
    await eventually(async () => isThere() || (await withoutCopy(gateway)) > before, {
      until: 'a copy arrives or is told as not sent',
    })
    if (isThere()) return told
    await calm(gateway)
  }
  throw new Error('the gateway is always under pressure')
}

async function withoutCopy(gateway: Pick<Looked, 'admin'>): Promise<number> {
  return (await metricsOf(gateway)).sum('modelgate_shadows_total', { fate: 'overload' })
}

async function calm(gateway: Pick<Looked, 'admin'>): Promise<void> {
  await eventually(async () => (await metricsOf(gateway)).sum('modelgate_pressure_level') === 0, {
    until: 'the gateway is not under pressure',
  })
}
