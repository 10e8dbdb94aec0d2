/**
 * Values of an answer by JSON pointer, such as `/choices/0/message/content` or `/usage/total_tokens`; of a stream, in
 * the answer that its events make. Embeddings are numbers in JSON or, as the API's own client asks for them, base64:
 * `/data/0/embedding/7` reads either.
 */
import { Buffer } from 'node:buffer'
import { headerOf, mediaTypeOf } from '../../domain/head.ts'
import type { Answer } from '../../domain/outcome.ts'
import type { JsonPath } from '../../kernel/json-scan.ts'
import type { ExactScalar, Scalar } from '../protocol.ts'
import { readJson, scalarOf } from '../read-json.ts'
import { assemble } from './assemble.ts'

export function readAnswer(answer: Answer, wanted: readonly JsonPath[]): readonly Scalar[] {
  return readExact(answer, wanted).map(scalarOf)
}

export function readExact(answer: Answer, wanted: readonly JsonPath[]): readonly ExactScalar[] {
  const json = documentOf(answer)
  if (json === null) return wanted.map(() => undefined)
  const found = readJson(json, wanted)
  const packed = wanted.filter((path, index) => found[index] === undefined && isElement(path))
  if (packed.length === 0) return found
  const texts = readJson(
    json,
    packed.map((path) => path.slice(0, 3)),
  )
  return found.map((value, index) => {
    const place = packed.indexOf(wanted[index]!)
    const text = place === -1 ? undefined : texts[place]
    return typeof text === 'string' ? floatAt(text, Number(wanted[index]![3])) : value
  })
}

function documentOf({ headers, body }: Answer): Uint8Array | null {
  if (mediaTypeOf(headers) !== 'text/event-stream') return body
  return headerOf(headers, 'content-encoding') === undefined ? assemble(body) : null
}

function isElement(path: JsonPath): boolean {
  return path.length === 4 && path[0] === 'data' && path[2] === 'embedding' && INDEX.test(path[3]!)
}

const INDEX = /^(?:0|[1-9]\d{0,6})$/
const FLOAT_BYTES = 4
/** Base64 turns three bytes into four characters. */
const GROUP_BYTES = 3
const GROUP_CHARACTERS = 4

/** Number `index` of base64 text that holds little-endian 32-bit floats; only the piece that holds it is decoded. */
function floatAt(text: string, index: number): number | undefined {
  const start = index * FLOAT_BYTES
  const group = Math.floor(start / GROUP_BYTES)
  const piece = text.slice(group * GROUP_CHARACTERS, (group + GROUP_BYTES) * GROUP_CHARACTERS)
  const bytes = Buffer.from(piece, 'base64')
  const within = start - group * GROUP_BYTES
  return within + FLOAT_BYTES <= bytes.length ? bytes.readFloatLE(within) : undefined
}
