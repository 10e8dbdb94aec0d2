/**
 * What a wire dialect has to say about a request, and what every dialect folder provides: `recognize`
 * by head, `identify` by body, `prepare` for an endpoint, `explain` a fault, `readAnswer` for checks.
 * All of it deterministic; contract tests in test/contracts/protocols.test.ts run over the list.
 */
import type { Fault } from '../domain/fault.ts'
import type { Head } from '../domain/head.ts'
import type { Operation } from '../domain/intent.ts'
import type { Answer } from '../domain/outcome.ts'
import type { ProtocolName, RemoteVersion } from '../domain/routes.ts'
import type { OutboundRequest } from '../domain/wire.ts'
import type { JsonPath } from '../kernel/json-scan.ts'

/** What the path alone says. `server` questions are about the gateway and reach no model. */
export type Match =
  | { readonly scope: 'server'; readonly ask: 'live' | 'ready' | 'metadata' }
  | {
      readonly scope: 'model'
      readonly model: string
      /** Version named by the path, or null. */
      readonly version: string | null
      readonly operation: Operation
      /** raw: what follows the model's name. */
      readonly rest: string
    }

/** A scalar found in a body; undefined when nothing is there, null for JSON null or a container. */
export type Scalar = string | number | boolean | null | undefined

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

/** A fault in the dialect's own error shape. */
export interface RenderedError {
  readonly contentType: string
  readonly body: Uint8Array
}

export interface Protocol {
  readonly name: ProtocolName
  /** Local runtimes can read its requests and write its answers. */
  readonly servesLocally: boolean
  /**
   * Where `prepare` addresses an endpoint by names of its own (`rename`): puts our names in its answer's
   * place. Null: the dialect knows no names, and `rename` is refused.
   */
  readonly renameAnswer: ((answer: Answer, version: RemoteVersion) => Answer) | null
  /** True when every answer can be asked for twice without harm, so shadows and one safe retry are allowed. */
  isRepeatable(method: string): boolean
  /** undefined: the path is another dialect's. */
  recognize(head: Head): Match | Fault | undefined
  /** Proves that the body is well-formed for the operation and reads the wanted values from it. */
  identify(operation: Operation, head: Head, body: Uint8Array, wanted: readonly JsonPath[]): Reading | Fault
  prepare(errand: Errand, version: RemoteVersion): OutboundRequest
  explain(fault: Fault): RenderedError
  /** Values at the paths of a complete answer; undefined for each that is missing or unreadable. */
  readAnswer(answer: Answer, wanted: readonly JsonPath[]): readonly Scalar[]
}
