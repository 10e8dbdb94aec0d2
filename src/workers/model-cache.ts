/**
 * The models one scoring thread holds: each file is loaded once per thread and kept until the bound is
 * reached, then the one unused for longest goes. Failures are not kept: whoever asks again tries again,
 * and the lane decides how often it asks.
 *
 * The words of a failure are for callers, so they name the file as the configuration wrote it; absolute
 * paths and the runtime's own words stay in the detail.
 */
import { stat } from 'node:fs/promises'
import type { Fault } from '../domain/fault.ts'
import type { ModelSource } from './messages.ts'
import { notLoaded } from './not-loaded.ts'
import { type LoadedModel, ModelRefused } from './runtimes/contract.ts'
import { runtimeOf } from './runtimes/index.ts'

export const MODELS_PER_THREAD_MAX = 128

const held = new Map<string, LoadedModel>()

export async function modelOf(source: ModelSource): Promise<LoadedModel | Fault> {
  const key = `${source.runtime}:${source.file}`
  const known = held.get(key)
  if (known !== undefined) {
    held.delete(key)
    held.set(key, known)
    return known
  }
  const loaded = await load(source)
  if ('kind' in loaded) return loaded
  held.set(key, loaded)
  if (held.size > MODELS_PER_THREAD_MAX) {
    const [oldest, model] = held.entries().next().value!
    held.delete(oldest)
    await model.release()
  }
  return loaded
}

async function load(source: ModelSource): Promise<LoadedModel | Fault> {
  try {
    const entry = await stat(source.file)
    if (!entry.isFile()) return notLoaded(source, 'is not a file')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    return notLoaded(source, code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`, String(error))
  }
  try {
    return await runtimeOf(source.runtime).load(source.file)
  } catch (error) {
    if (error instanceof ModelRefused) return notLoaded(source, `cannot be served: ${error.message}`)
    return notLoaded(source, `is not a model that ${source.runtime} can load`, String(error))
  }
}
