/**
 * What of a header list decides where a request ends, for whom it is and what its body is: each such header at
 * most once, with a value that has one reading. Two readers that disagree here are how requests are smuggled.
 *
 * Every header passes here, on every request: one look-up by its name and one scan of its value.
 */
import { type Fault, fault } from '../domain/fault.ts'
import { Remembered } from '../kernel/remembered.ts'
import { isHost } from './host.ts'

/**
 * Whether the client asked for a word before it sends the body. `met`: the server in front has sent `100 Continue` by
 * itself, so the body follows; `open`: it does not in this spelling, so the body may never come.
 */
export type Expectation = 'none' | 'met' | 'open'

export interface Framing {
  /** -1 when none is declared. */
  readonly contentLength: number
  readonly isChunked: boolean
  /** Its connection ends with the answer: the client says so, or what follows its body is in doubt. */
  readonly isLast: boolean
  readonly expectation: Expectation
  /** Value of Host; empty when the request is refused for it. */
  readonly host: string
  /** x-forwarded- headers are there. */
  readonly claimsForwarding: boolean
  /** What Connection says beside one `keep-alive` or `close`, in lower case: headers of the hop among it. */
  readonly hopNames: ReadonlySet<string> | null
  readonly refusal: Fault | null
}

const HOST = 1
const LENGTH = 2
const CODING = 4
const EXPECT = 8
/** Bits below: at most once. */
const REPEATABLE = 1 << 16
const CONNECTION = REPEATABLE
const CLAIM = REPEATABLE << 1

const BITS: ReadonlyMap<string, number> = new Map([
  ['host', HOST],
  ['content-length', LENGTH],
  ['transfer-encoding', CODING],
  ['expect', EXPECT],
  ['content-type', 1 << 4],
  ['content-encoding', 1 << 5],
  ['authorization', 1 << 6],
  ['inference-header-content-length', 1 << 7],
  ['connection', CONNECTION],
  ['x-forwarded-for', CLAIM],
  ['x-forwarded-host', CLAIM],
  ['x-forwarded-proto', CLAIM],
])

const CONTINUE = '100-continue'
const DIGITS = /^\d{1,15}$/
/** The server lets pass what is no token; defence against another build of it. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
/** What the server puts in place of bytes that are no UTF-8: the value would reach the endpoint changed. */
const REPLACEMENT = '\ufffd'
const DELETE = '\u007f'

/** Connection may name headers of the hop; naming one of these would take from the endpoint what we acted on. */
const END_TO_END: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'authorization',
  'inference-header-content-length',
  'cookie',
  'forwarded',
  'via',
])
const END_TO_END_PREFIX = /^(?:x-forwarded-|modelgate-)/

export interface FramingRules {
  /** server.limits.chunked_requests is "accept". */
  readonly chunkedAccepted: boolean
}

/** `headers`: name, value, …; names in lower case, values trimmed. */
export function readFraming(method: string, headers: readonly string[], rules: FramingRules): Framing {
  let seen = 0
  let host = ''
  let contentLength = -1
  let coding = ''
  let expected: string | null = null
  let hopNames: Set<string> | null = null
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!
    const value = headers[index + 1]!
    const wrong = checkValue(name, value)
    if (wrong !== null) return refuse(wrong)
    const bit = BIT_OF.of(name)
    if (bit === 0) continue
    if (typeof bit !== 'number') return refuse(bit)
    const isRepeated = (seen & bit) !== 0
    if (bit < REPEATABLE && isRepeated) return refuse(malformed(`the header ${name} must not be repeated`))
    seen |= bit
    if (bit === HOST) host = value
    else if (bit === LENGTH) contentLength = DIGITS.test(value) ? Number(value) : Number.NaN
    else if (bit === CODING) coding = value
    else if (bit === EXPECT) expected = value
    else if (bit === CONNECTION && value !== 'keep-alive') {
      // The server in front acts on the one word by itself, where it is the first.
      if (value !== 'close' || isRepeated) hopNames = withOptions(hopNames, value)
    }
  }
  if (expected !== null && expected.toLowerCase() !== CONTINUE) return refuse(EXPECTATION)
  if (hopNames !== null && !isHarmless(hopNames)) return refuse(STRIPPING)
  if ((seen & HOST) === 0) return refuse(NO_HOST)
  if (!isHost(host)) return refuse(BAD_HOST)
  if (Number.isNaN(contentLength)) return refuse(BAD_LENGTH)
  const isChunked = (seen & CODING) !== 0
  const refusal = isChunked
    ? checkCoding(coding, contentLength, rules)
    : contentLength === -1 && WITH_BODY.has(method)
      ? NO_LENGTH
      : null
  return {
    contentLength,
    isChunked,
    isLast: isChunked || (hopNames?.has('close') ?? false),
    expectation: expected === null ? 'none' : expected === CONTINUE ? 'met' : 'open',
    host,
    claimsForwarding: (seen & CLAIM) !== 0,
    hopNames,
    refusal,
  }
}

function checkValue(name: string, value: string): Fault | null {
  if (value.includes(REPLACEMENT)) return malformed(`the value of the header ${name} is not valid UTF-8`)
  if (value.includes(DELETE)) return malformed(`the value of the header ${name} has a control character`)
  return null
}

/** What a name says, 0 where it says nothing, or why it is refused. */
const BIT_OF = new Remembered<number | Fault>((name) => BITS.get(name) ?? checkName(name) ?? 0)

/** Some readers take `_` for `-`: an underscore must not hide a header that may come only once. */
function checkName(name: string): Fault | null {
  if (!TOKEN.test(name)) return malformed('a header name has characters that are not allowed there')
  if (!name.includes('_')) return null
  const read = name.replaceAll('_', '-')
  const bit = BITS.get(read)
  if (bit === undefined || bit >= REPEATABLE) return null
  return malformed(`the header ${name} is too easily taken for ${read}`)
}

/** A caller may send several Connection headers; each can name headers of the hop. */
function withOptions(names: Set<string> | null, value: string): Set<string> {
  const all = names ?? new Set<string>()
  for (const option of value.split(',')) all.add(option.trim().toLowerCase())
  return all
}

function isHarmless(names: ReadonlySet<string>): boolean {
  for (const name of names) if (END_TO_END.has(name) || END_TO_END_PREFIX.test(name)) return false
  return true
}

/** One coding, exactly `chunked`: whatever else stands there, somebody reads it otherwise (RFC 9112 §6.1). */
function checkCoding(coding: string, contentLength: number, rules: FramingRules): Fault | null {
  if (contentLength !== -1) return BOTH
  if (coding.toLowerCase() !== 'chunked') return BAD_CODING
  return rules.chunkedAccepted ? null : NOT_CHUNKED
}

/**
 * The server stops reading a header list at an empty name, so `: x` hides a Content-Length after it: the
 * body would then be read as the next request. A method that has a body says how long it is.
 */
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

function refuse(refusal: Fault): Framing {
  return {
    contentLength: -1,
    isChunked: false,
    isLast: false,
    expectation: 'none',
    host: '',
    claimsForwarding: false,
    hopNames: null,
    refusal,
  }
}

export function malformed(message: string): Fault {
  return fault('malformed-request', message)
}

const NO_HOST = malformed('the Host header is missing')
const BAD_HOST = malformed('the Host header is not a host and a port up to 65535')
const BAD_LENGTH = malformed('Content-Length must be a decimal number')
const BAD_CODING = malformed('the only Transfer-Encoding of a request is "chunked"')
const BOTH = malformed('Content-Length and Transfer-Encoding exclude each other')
const STRIPPING = malformed('Connection must not name a header that is for everybody on the way')
const EXPECTATION = fault('expectation-failed', 'the only expectation this gateway meets is 100-continue')
const NO_LENGTH = fault('length-required', 'a POST, PUT or PATCH must have a Content-Length; 0 for no body')
const NOT_CHUNKED = fault(
  'length-required',
  'this gateway takes request bodies with Content-Length only (server.limits.chunked_requests)',
)
