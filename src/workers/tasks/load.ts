/** Task: have this thread hold a model, and say what the model says of itself. Never throws for a bad file. */
import { isFault } from '../../domain/fault.ts'
import { systemClock } from '../../kernel/clock.ts'
import type { LoadResult, LoadTask } from '../messages.ts'
import { modelOf } from '../model-cache.ts'
import { runtimeOf } from '../runtimes/index.ts'

export async function run({ source }: LoadTask): Promise<LoadResult> {
  const startedAt = systemClock.now()
  const model = await modelOf(source)
  if (isFault(model)) return { loaded: false, fault: model }
  return {
    loaded: true,
    platform: runtimeOf(source.runtime).platform,
    signature: model.signature,
    batchable: model.batchable,
    loadMs: systemClock.now() - startedAt,
  }
}

/** Asked for when threads have to be started and there is no other work for them. */
export function nothing(): void {}
