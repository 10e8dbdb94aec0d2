/**
 * What a wire dialect has to say about a request, and what every dialect folder provides: `recognize`
 * by head, `identify` by body, `prepare` for an endpoint, `explain` a fault, `readAnswer` for checks.
 * All of it deterministic; contract tests in test/contracts/protocols.test.ts run over the list.
 */
import type { Fault } from '../domain/fault.ts'
import type { Head } from '../domain/head.ts'
import type { Operation } from '../domain/intent.ts'
import type { Answer, AnswerHead, AnswerSummary } from '../domain/outcome.ts'
import type { ProtocolName, RemoteVersion } from '../domain/routes.ts'
import type { OutboundRequest } from '../domain/wire.ts'
import type { JsonPath } from '../kernel/json-scan.ts'
import type { Patience } from './patience.ts'

/** What the path alone says. `server` questions are about the gateway and reach no model. */
export type Match =
  | { readonly scope: 'server'; readonly ask: 'live' | 'ready' | 'metadata' | 'models' }
  /** What the configuration says of one model. */
  | { readonly scope: 'server'; readonly ask: 'model'; readonly model: string }
  | {
      readonly scope: 'model'
      /** Null: the body names it (`modelIn`). */
      readonly model: string | null
      /** Version named by the path, or null. */
      readonly version: string | null
      readonly operation: Operation
      /** What `prepare` needs of the path and the query besides names. */
      readonly rest: string
    }

/** A scalar found in a body; undefined when nothing is there, null for JSON null or a container. */
export type Scalar = string | number | boolean | null | undefined

/** A scalar whose integers have every digit. */
export type ExactScalar = Scalar | bigint

export interface Reading {
  /** One for each wanted path, as text (numbers as written). */
  readonly values: readonly (string | undefined)[]
  /** Length of the JSON part with the binary extension, else -1. */
  readonly jsonLength: number
  /** The caller names the outputs it wants, so an answer may hold others, fewer, or another order. */
  readonly selectsOutputs: boolean
}

/** What `prepare` may use to address one version; `headers` are ready to be sent. */
export interface Errand {
  readonly method: string
  readonly model: string
  readonly operation: Operation
  readonly rest: string
  readonly headers: readonly string[]
  readonly body: Uint8Array
}

/** What callers call a model and its version. */
export type OurNames = Pick<RemoteVersion, 'model' | 'name'>

/** How a stream ended by the rules of its dialect. */
export type StreamEnd = Pick<AnswerSummary, 'problem' | 'isCallersDoing'>

/** A fault in the dialect's own error shape. */
export interface RenderedError {
  readonly contentType: string
  readonly body: Uint8Array
}

/**
 * Follows an answer that is passed on as it comes. It may change what it follows (names), holds back no more
 * than one unfinished event of at most a fixed size, and never delays a finished one.
 */
export interface AnswerTap {
  /** What is to be passed on for these bytes: often they themselves. Valid until they are. */
  push(bytes: Uint8Array): Uint8Array
  /** Nothing came yet that a caller would call an answer (content of the model). */
  readonly awaitsContent: boolean
  /** What was held back when the message ended, to be passed on. */
  rest(): Uint8Array
  /** What it came to, whenever asked. */
  summary(): AnswerSummary
}

export interface Protocol {
  readonly name: ProtocolName
  /** Timeouts of a model that has none of its own. */
  readonly patience: Patience
  /** What its servers are asked when it is to be known whether they are well (`health.path`); null: there is no one path. */
  readonly readyPath: string | null
  /** Local runtimes can read its requests and write its answers. */
  readonly servesLocally: boolean
  /**
   * Where `prepare` addresses an endpoint by names of its own (`rename`): puts our names in its answer's
   * place. Null: the dialect knows no names, and `rename` is refused.
   */
  readonly renameAnswer: ((answer: Answer, ours: OurNames) => Answer) | null
  /** Requests can address a version of an endpoint's model, so `rename.version` means something. */
  readonly namesVersions: boolean
  /** The fields its answers have at their top; null when they may have any. A check on another is likely a mistake. */
  readonly answerFields: readonly string[] | null
  /**
   * Its answers are documents, of no use until whole: one of unknown length is held, as far as that goes, so that
   * a version that breaks off can still be replaced by another.
   */
  readonly answersWhole: boolean
  /** It tells something of every answer (`tap`, `summarize`), so endpoints are asked to send them uncompressed. */
  readonly readsAnswers: boolean
  /** True when every answer can be asked for twice without harm, so shadows and one safe retry are allowed. */
  isRepeatable(method: string): boolean
  /** undefined: the path is another dialect's. */
  recognize(head: Head): Match | Fault | undefined
  /** Proves that the body is well-formed for the operation and reads the wanted values from it. */
  identify(operation: Operation, head: Head, body: Uint8Array, wanted: readonly JsonPath[]): Reading | Fault
  /** The model that the body names, where the path does not. Null: every path names it. */
  readonly modelIn: ((head: Head, body: Uint8Array) => string | Fault) | null
  prepare(errand: Errand, version: RemoteVersion): OutboundRequest
  explain(fault: Fault): RenderedError
  /** Values at the paths of a complete answer; undefined for each that is missing or unreadable. */
  readAnswer(answer: Answer, wanted: readonly JsonPath[]): readonly Scalar[]
  /** The same for comparisons, with integers beyond 2^53 as bigint. */
  readExact(answer: Answer, wanted: readonly JsonPath[]): readonly ExactScalar[]
  /** Null: answers with such a head are passed on unseen. */
  tap(head: AnswerHead, version: RemoteVersion): AnswerTap | null
  /** Of an answer held whole; null where there is nothing to tell. */
  summarize(answer: Answer): AnswerSummary | null
  /**
   * How a stream held whole ended, told by its last bytes: a stream that nobody waits for is not read on a lane.
   * Null for what is no stream, or cannot be read.
   */
  endOf(answer: Answer): StreamEnd | null
  /** Last words to a caller whose stream of events is about to be cut; empty when the dialect has none. */
  breakOff(fault: Fault): Uint8Array
}
