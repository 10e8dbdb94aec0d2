/**
 * An endpoint that knows the model by another name (`rename.model`) answers with that name. Callers asked for ours
 * and are told ours: the name is replaced where it stands, every other byte stays as it is.
 */
import { headerOf } from '../../domain/head.ts'
import type { Answer } from '../../domain/outcome.ts'
import type { RemoteVersion } from '../../domain/routes.ts'
import { type JsonPath, scanJson } from '../../kernel/json-scan.ts'
import { splice } from '../splice.ts'

/** The answer itself where there is nothing to replace, or where it cannot be read. */
export function renameAnswer(answer: Answer, version: RemoteVersion): Answer {
  if (headerOf(answer.headers, 'content-encoding') !== undefined) return answer
  const body = renameDocument(answer.body, version.model)
  return body === answer.body ? answer : { ...answer, body }
}

const MODEL: readonly JsonPath[] = [['model']]

/** The bytes themselves where no model is named. */
export function renameDocument(json: Uint8Array, model: string): Uint8Array {
  const scan = scanJson(json, MODEL)
  const span = scan.ok ? scan.found[0] : null
  return span?.kind === 'string' ? splice(json, [{ span, text: model }]) : json
}
