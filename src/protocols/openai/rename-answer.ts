/**
 * An endpoint that knows the model by another name (`rename.model`) answers with that name. Callers asked for ours
 * and are told ours: the name is replaced where it stands, every other byte stays as it is.
 */
import { Buffer } from 'node:buffer'
import { headerOf, mediaTypeOf } from '../../domain/head.ts'
import type { Answer } from '../../domain/outcome.ts'
import { type JsonPath, scanJson } from '../../kernel/json-scan.ts'
import type { OurNames } from '../protocol.ts'
import { splice } from '../splice.ts'
import { StreamTap } from './tap.ts'

/** The answer itself where there is nothing to replace, or where it cannot be read. */
export function renameAnswer(answer: Answer, version: OurNames): Answer {
  if (headerOf(answer.headers, 'content-encoding') !== undefined) return answer
  const isStream = mediaTypeOf(answer.headers) === 'text/event-stream'
  const body = (isStream ? renameStream : renameDocument)(answer.body, version.model)
  return body === answer.body ? answer : { ...answer, body }
}

function renameStream(bytes: Uint8Array, model: string): Uint8Array {
  const follower = new StreamTap(model)
  return Buffer.concat([follower.push(bytes), follower.rest()])
}

const MODEL: readonly JsonPath[] = [['model']]

/** The bytes themselves where no model is named. */
function renameDocument(json: Uint8Array, model: string): Uint8Array {
  const scan = scanJson(json, MODEL)
  const span = scan.ok ? scan.found[0] : null
  return span?.kind === 'string' ? splice(json, [{ span, text: model }]) : json
}
