/** What can be odd about a request: one to three ways of it, put into a plain one. */
import { Buffer } from 'node:buffer'
import type { Draw } from './draw.ts'
import { CHUNK_ENDS, CHUNK_SIZES, CODINGS, LENGTHS, TRAILERS } from './framing-words.ts'
import { insert, type Message, smuggled } from './plain-requests.ts'
import {
  BEFORE,
  HOSTS,
  LINE_ENDS,
  ODD_ENDINGS,
  ODD_LINES,
  ODD_METHODS,
  ODD_TARGETS,
  SEPARATORS,
  VERSIONS,
} from './request-words.ts'

type Oddity = (draw: Draw, message: Message) => void

const ODDITIES: readonly Oddity[] = [
  oddLine,
  oddLine,
  oddLine,
  oddLine,
  oddTarget,
  oddTarget,
  oddHost,
  oddLength,
  oddLength,
  oddLength,
  oddLineEnd,
  oddBody,
  chunks,
  chunks,
  chunks,
  bothFramings,
  tooMuch,
  (draw, message) => {
    message.method = draw.one(ODD_METHODS)
  },
  (draw, message) => {
    message.version = draw.one(VERSIONS)
  },
  (draw, message) => {
    message.separators[draw.upTo(1)] = draw.one(SEPARATORS)
  },
  (draw, message) => {
    message.before = draw.one(BEFORE)
  },
]

export function oddOut(draw: Draw, message: Message): void {
  const count = draw.happens(0.7) ? 1 : 2 + draw.upTo(1)
  for (let index = 0; index < count; index += 1) draw.one(ODDITIES)(draw, message)
}

function oddLine(draw: Draw, message: Message): void {
  const line = draw.one(ODD_LINES).replace(/\bn\b/, String(message.body.length))
  insert(draw, message.lines, line)
}

function oddTarget(draw: Draw, message: Message): void {
  message.target = draw.happens(0.7) ? `${message.target}${draw.one(ODD_ENDINGS)}` : draw.one(ODD_TARGETS)
}

function oddHost(draw: Draw, message: Message): void {
  const at = message.lines.findIndex((line) => line.toLowerCase().startsWith('host:'))
  if (at === -1) return
  const how = draw.upTo(9)
  if (how === 0) message.lines.splice(at, 1)
  else if (how === 1) insert(draw, message.lines, draw.one([message.lines[at]!, 'host: other', 'host:']))
  else message.lines[at] = `${draw.one(['Host: ', 'host:', 'HOST: \t'])}${draw.one(HOSTS)}`
}

function dropLength(message: Message): void {
  message.lines = message.lines.filter((line) => !/^content-length:/i.test(line))
}

function oddLength(draw: Draw, message: Message): void {
  if (message.body.length === 0 && draw.happens(0.7)) {
    message.body = Buffer.from(smuggled(message.token), 'latin1')
    message.wire = message.body
  }
  const line = `Content-Length:${draw.one([' ', ' ', '', '\t'])}${draw.one(LENGTHS)(message.body.length)}`
  if (draw.happens(0.7)) dropLength(message)
  insert(draw, message.lines, line)
}

function oddLineEnd(draw: Draw, message: Message): void {
  message.lineEnds.set(draw.upTo(message.lines.length + 1), draw.one(LINE_ENDS))
}

function oddBody(draw: Draw, message: Message): void {
  const { wire } = message
  const how = draw.upTo(3)
  if (how === 0) message.wire = wire.subarray(0, draw.upTo(wire.length))
  else if (how === 1) message.wire = Buffer.concat([wire, Buffer.from(draw.one(BEFORE), 'latin1')])
  else if (how === 2) message.wire = Buffer.concat([wire, Buffer.from(smuggled(message.token), 'latin1')])
  else dropLength(message)
}

function chunks(draw: Draw, message: Message): void {
  const isOdd = draw.happens(0.6)
  const parts: string[] = []
  const text = message.body.toString('latin1')
  for (let at = 0; at < text.length; ) {
    const length = Math.min(text.length - at, 1 + draw.upTo(draw.one([5, 40, 9_000])))
    const data = text.slice(at, at + length)
    parts.push(
      `${chunkLine(draw, length, isOdd)}\r\n${data}${isOdd && draw.happens(0.1) ? draw.one(LINE_ENDS) : '\r\n'}`,
    )
    at += length
  }
  const last = isOdd && draw.happens(0.2) ? draw.one(['00', '000', '-0', '', '0;x', '0 ', 'x']) : '0'
  const trailer = isOdd ? draw.one(TRAILERS) : draw.one(['', '', 'X-Sum: 1\r\n'])
  message.wire = Buffer.from(`${parts.join('')}${last}\r\n${trailer}\r\n`, 'latin1')
  dropLength(message)
  insert(draw, message.lines, `Transfer-Encoding: ${draw.happens(0.8) ? 'chunked' : draw.one(CODINGS)}`)
}

function chunkLine(draw: Draw, length: number, isOdd: boolean): string {
  const hex = length.toString(16)
  const size = isOdd && draw.happens(0.15) ? draw.one(CHUNK_SIZES)(hex) : hex
  return isOdd && draw.happens(0.15) ? `${size}${draw.one(CHUNK_ENDS)}` : size
}

function bothFramings(draw: Draw, message: Message): void {
  const before = [...message.lines]
  chunks(draw, message)
  const length = draw.one([message.body.length, message.wire.length, 0, 3])
  if (draw.happens(0.5)) message.lines = [...before, `Transfer-Encoding: ${draw.one(CODINGS)}`]
  else insert(draw, message.lines, `Content-Length: ${length}`)
  if (draw.happens(0.2)) insert(draw, message.lines, `Transfer-Encoding: ${draw.one(CODINGS)}`)
}

function tooMuch(draw: Draw, message: Message): void {
  const how = draw.upTo(4)
  if (how < 2) {
    const count = 85 + draw.upTo(40)
    for (let index = 0; index < count; index += 1) message.lines.push(`x-${index}: ${index}`)
  } else if (how === 2) insert(draw, message.lines, `x-pad: ${'p'.repeat(draw.upTo(40_000))}`)
  else if (how === 3) insert(draw, message.lines, `${'n'.repeat(draw.upTo(20_000))}: x`)
  else {
    const bytes = draw.one([65_536, 65_537, 100_000])
    dropLength(message)
    message.lines.push(`Content-Length: ${bytes}`)
    message.wire = Buffer.alloc(draw.happens(0.7) ? bytes : 1000, 'b')
  }
}
