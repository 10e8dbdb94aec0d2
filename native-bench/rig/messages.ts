/**
 * What the processes of a measurement tell each other. The conductor asks, endpoint and client answer with one
 * message each; bytes of requests are never among them.
 */

export interface StreamSettings {
  readonly events: number
  readonly everyMs: number
  readonly eventBytes: number
}

export type ToEndpoint = { readonly kind: 'count' }

export type FromEndpoint =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'counted'; readonly connections: number; readonly requests: number }

/** How one contender is asked. */
export interface Target {
  readonly port: number
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: readonly string[]
  /** A JSON text, or so many bytes of a fixed pattern. */
  readonly body: string | number
}

export interface StreamJob {
  readonly kind: 'streams'
  readonly target: Target
  readonly streams: number
  /** The starts of the streams are spread over this time. */
  readonly overMs: number
  readonly events: number
}

export interface RequestJob {
  readonly kind: 'requests'
  readonly target: Target
  readonly connections: number
  readonly requests: number
  /** Open loop at this rate; 0: each connection asks again as soon as it is answered. */
  readonly ratePerSecond: number
  /** The digest of every answer is wanted, of the request's body too where the endpoint tells it. */
  readonly isVerified: boolean
}

/** Requests at random moments of a mean rate. */
export interface ArrivalJob {
  readonly kind: 'arrivals'
  readonly target: Target
  readonly connections: number
  readonly requests: number
  readonly ratePerSecond: number
  /** The same one gives the same moments. */
  readonly seed: number
}

export type ToClient = StreamJob | RequestJob | ArrivalJob

/** All times in µs; one entry for each stream or event. */
export interface StreamTimes {
  readonly kind: 'streams'
  /** From the request to the first event. */
  readonly firstTokens: readonly number[]
  /** From an event's writing by the endpoint to its arrival. */
  readonly delays: readonly number[]
  /** Between arrivals of neighbours in one stream. */
  readonly gaps: readonly number[]
  /** What the way added to the gap between the two writes; negative where it made it smaller. */
  readonly stretches: readonly number[]
}

export interface RequestTimes {
  readonly kind: 'requests'
  readonly seconds: number
  /** Latency quantiles in µs; from the intended start where a rate was asked for. */
  readonly p50: number
  readonly p99: number
  readonly answerBytes: number
  /** SHA-256 of the last answer's body, when it was to be verified. */
  readonly digest: string
}

/** In µs; one entry for each request. */
export interface ArrivalTimes {
  readonly kind: 'arrivals'
  readonly latencies: readonly number[]
  /** How much later than intended the client itself sent, where a connection was free. Not part of the latency. */
  readonly lateness: readonly number[]
}

export const SHADOW_MANNERS = [
  'well',
  'hangs',
  'floods',
  'announces 1 GiB',
  '1 GiB in chunks',
  '1 GiB in chunks of 16 B',
  '1 GiB until close',
  'resets',
  'refuses',
] as const
export type ShadowManner = (typeof SHADOW_MANNERS)[number]

export interface FromShadows {
  readonly kind: 'shadows'
  readonly ports: readonly (readonly [ShadowManner, number])[]
}

export type FromClient =
  | { readonly kind: 'ready' }
  | StreamTimes
  | RequestTimes
  | ArrivalTimes
  | { readonly kind: 'failed'; readonly problem: string }

/** Bytes of a body of the fixed pattern: not all alike, and cheap to make. */
export function patternBytes(length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length)
  for (let index = 0; index < length; index += 1) bytes[index] = (index * 31 + (index >>> 8)) & 0xff
  return bytes
}

/** ns of the clock that all processes of this machine share. */
export function nowNs(): number {
  return Number(process.hrtime.bigint())
}
