/**
 * What a caller might send over one connection, from well-formed to hardly HTTP at all, and how: in which pieces,
 * at once or one after the other, and how it leaves. A number names a case: the same number is always the same bytes.
 */
import { Buffer } from 'node:buffer'
import { edited } from './answer-cases.ts'
import { Draw } from './draw.ts'
import { oddOut } from './odd-requests.ts'
import { plainMessage, wireOf } from './plain-requests.ts'

/** After the last byte: wait for what is due, or say goodbye, or break off, or stay without a word. */
export type Leaving = 'wait' | 'finish' | 'reset' | 'stay'

/** Of two gateways, one takes chunked bodies and one does not. */
export interface GatewayRules {
  readonly chunkedAccepted: boolean
}

export const GATEWAYS: readonly GatewayRules[] = [{ chunkedAccepted: false }, { chunkedAccepted: true }]

/** The number of a case says which gateway is asked, too. */
export function rulesFor(caseNumber: number): GatewayRules {
  return GATEWAYS[caseNumber % GATEWAYS.length]!
}

export interface RequestCase {
  readonly number: number
  /** Nothing in it is odd: each request must be served, unless the caller leaves or does not wait its turn. */
  readonly isPlain: boolean
  /** Each is sent when as many answers came as messages were sent before. */
  readonly messages: readonly Buffer[]
  /** Where the bytes of a message are cut, as parts of its length; a pause between the pieces. */
  readonly cuts: readonly number[]
  readonly leaving: Leaving
}

const EDIT_BYTES = [...Buffer.from('\r\n\0 \t:;,0159afx\x7f\x0b\x0c+-"\x80_%/\\#?', 'latin1')]
const HOWS = ['set', 'insert', 'delete', 'cut', 'repeat'] as const
/** One in so many cases waits for the server's own timers to end it, which takes 10 s. */
const STAYS_ONE_IN = 400

export function requestCase(number: number): RequestCase {
  const draw = new Draw(number)
  const isPlain = draw.happens(0.2)
  const count = draw.happens(0.55) ? 1 : 1 + draw.upTo(5)
  const messages = Array.from({ length: count }, (_, index) => {
    const message = plainMessage(draw, `${number}-${index}`)
    if (!isPlain && draw.happens(count === 1 ? 0.9 : 0.5)) oddOut(draw, message)
    return wireOf(message)
  })
  const isMutated = !isPlain && draw.happens(0.3)
  const sent = isMutated
    ? messages.map((bytes) => (draw.happens(0.6) ? mutated(draw, bytes) : bytes))
    : messages
  const inTurns = draw.happens(0.5)
  return {
    number,
    isPlain,
    messages: inTurns ? sent : [Buffer.concat(sent)],
    cuts: cutsOf(draw),
    leaving: leavingOf(draw),
  }
}

function mutated(draw: Draw, bytes: Buffer): Buffer {
  const places = Math.min(bytes.length, 600)
  return edited(
    bytes,
    Array.from({ length: 1 + draw.upTo(2) }, () => [
      draw.upTo(places),
      draw.happens(0.8) ? draw.one(EDIT_BYTES) : draw.upTo(255),
      draw.one(HOWS),
    ]),
  )
}

function cutsOf(draw: Draw): number[] {
  const how = draw.upTo(9)
  if (how < 6) return []
  if (how === 9) return Array.from({ length: 40 }, (_, index) => index / 40)
  return Array.from({ length: 1 + draw.upTo(3) }, () => draw.next()).sort((left, right) => left - right)
}

function leavingOf(draw: Draw): Leaving {
  if (draw.upTo(STAYS_ONE_IN) === 0) return 'stay'
  const how = draw.upTo(19)
  return how < 17 ? 'wait' : how < 19 ? 'finish' : 'reset'
}
