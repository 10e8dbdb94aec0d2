/** The words for a version that cannot be served, the same on a lane and on a scoring thread. */
import { type Fault, fault } from '../domain/fault.ts'
import type { ModelSource } from './messages.ts'

/** For callers: names the file as the configuration wrote it, never where it lies on disk. */
export function notLoaded(source: ModelSource, what: string, detail = ''): Fault {
  const { version, model, fileAsWritten } = source
  return fault(
    'model-not-loaded',
    `version '${version}' of model '${model}' is not loaded: ${fileAsWritten} ${what}`,
    detail,
  )
}
