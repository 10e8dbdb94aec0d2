/**
 * A lane's counts, written by the lane, read by the control thread without asking. Every write is a few
 * additions and one store; nothing is allocated and no name becomes a key: names that are not
 * of the closed lists in slab-layout.ts cannot be counted at all.
 */
import type { ShadowOutcome, StreamOutcome } from '../domain/exchange.ts'
import type { ConsequenceClass, FaultCode } from '../domain/fault.ts'
import { type AnswerSummary, ROLES, type Role } from '../domain/outcome.ts'
import type { Reason } from '../domain/plan.ts'
import type { PressureLevel } from '../domain/pressure.ts'
import type { Snapshot } from '../domain/routes.ts'
import { assert } from '../kernel/assert.ts'
import {
  AGREEMENTS,
  ATTEMPT_VERDICTS,
  type AttemptVerdict,
  type CacheWord,
  CONSEQUENCE_ACTIONS,
  CONSEQUENCE_CLASSES,
  type ConsequenceAction,
  FAULT_CODES,
  type Fate,
  FINISH_REASONS,
  type HedgeOutcome,
  type RepeatWord,
  SHADOW_FATES,
  SLAB_FORMAT,
  SlabLayout,
} from './slab-layout.ts'

/** Of one answer. More is no count of tokens, and must not spoil the sum of those that are. */
export const TOKENS_MAX = 1e9

export class VitalsSlab {
  readonly buffer: SharedArrayBuffer
  readonly layout: SlabLayout
  readonly #words: Float64Array
  readonly #reasons: ReadonlyMap<Reason, number>
  readonly #loads: number
  readonly #lane: Readonly<
    Record<'open' | 'accepted' | 'refused' | 'unused' | 'in' | 'out' | 'asked' | 'lost' | 'pressure', number>
  >

  constructor(snapshot: Snapshot) {
    const layout = layoutOf(snapshot)
    this.layout = layout
    this.buffer = new SharedArrayBuffer(layout.length * Float64Array.BYTES_PER_ELEMENT)
    this.#words = new Float64Array(this.buffer)
    this.#words[layout.laneAt('format')] = SLAB_FORMAT
    this.#words[layout.laneAt('versions')] = layout.shape.versions
    this.#words[layout.laneAt('models')] = layout.shape.models
    this.#words[layout.laneAt('reasons')] = layout.shape.reasons
    this.#reasons = numbered(reasonNames(snapshot))
    this.#loads = layout.loadAt(0, 'running')
    this.#lane = {
      open: layout.laneAt('connectionsOpen'),
      accepted: layout.laneAt('connectionsAccepted'),
      refused: layout.laneAt('connectionsRefused'),
      unused: layout.laneAt('connectionsUnused'),
      in: layout.laneAt('bytesIn'),
      out: layout.laneAt('bytesOut'),
      asked: layout.laneAt('serverQuestions'),
      lost: layout.laneAt('histogramsRefused'),
      pressure: layout.laneAt('pressure'),
    }
  }

  /** `row`: a version's index, or `layout.rowWithoutVersion`. `reason` empty: none. */
  request(row: number, reason: Reason, status: number): void {
    const statusClass = Math.min(Math.max(Math.floor(status / 100) - 2, 0), 3)
    this.#increment(this.layout.requestAt(row, numberOf(this.#reasons, reason), statusClass))
  }

  /** `modelIndex` -1: no known model. */
  fault(modelIndex: number, code: FaultCode): void {
    this.#increment(this.layout.faultAt(modelIndex, numberOf(FAULT_NUMBERS, code)))
  }

  attempt(versionIndex: number, role: Role, verdict: AttemptVerdict): void {
    const at = this.layout.attemptAt(
      versionIndex,
      numberOf(ROLE_NUMBERS, role),
      numberOf(VERDICT_NUMBERS, verdict),
    )
    this.#increment(at)
  }

  shadow(versionIndex: number, fate: Fate): void {
    this.#increment(this.layout.shadowAt(versionIndex, numberOf(FATE_NUMBERS, fate)))
  }

  agreement(versionIndex: number, agreement: ShadowOutcome['agreement']): void {
    this.#increment(this.layout.agreementAt(versionIndex, numberOf(AGREEMENT_NUMBERS, agreement)))
  }

  consequence(modelIndex: number, of: ConsequenceClass, action: ConsequenceAction): void {
    const at = this.layout.consequenceAt(
      modelIndex,
      numberOf(CLASS_NUMBERS, of),
      numberOf(ACTION_NUMBERS, action),
    )
    this.#increment(at)
  }

  /** By this lane, for all of them. */
  breakerOpened(versionIndex: number): void {
    this.#increment(this.layout.breakerAt(versionIndex, 'opens'))
  }

  retry(modelIndex: number, isSent: boolean): void {
    this.#increment(this.layout.retryAt(modelIndex, isSent ? 'sent' : 'over-budget'))
  }

  hedge(versionIndex: number, outcome: HedgeOutcome): void {
    this.#increment(this.layout.hedgeAt(versionIndex, outcome))
  }

  /** From now on second copies are sent after so many ms. */
  hedgeAfter(versionIndex: number, ms: number): void {
    this.#words[this.layout.hedgeAt(versionIndex, 'after')] = ms
  }

  endpointPutOut(versionIndex: number): void {
    this.#increment(this.layout.endpointAt(versionIndex, 'ejections'))
  }

  /** `forgotten`: callers whose debt was forgotten for this one. */
  rate(modelIndex: number, isAdmitted: boolean, forgotten: number): void {
    this.#increment(this.layout.rateAt(modelIndex, isAdmitted ? 'admitted' : 'refused'))
    this.#words[this.layout.rateAt(modelIndex, 'forgotten')]! += forgotten
  }

  repeat(modelIndex: number, word: Exclude<RepeatWord, 'bytes'>): void {
    this.#increment(this.layout.repeatAt(modelIndex, word))
  }

  cache(modelIndex: number, word: Exclude<CacheWord, 'bytes'>): void {
    this.#increment(this.layout.cacheAt(modelIndex, word))
  }

  /** Of answers: for repeats, or for equal questions. */
  keptBytes(modelIndex: number, store: 'repeats' | 'cache', bytes: number): void {
    const { layout } = this
    const isCache = store === 'cache'
    this.#words[isCache ? layout.cacheAt(modelIndex, 'bytes') : layout.repeatAt(modelIndex, 'bytes')] = bytes
  }

  /** The breaker refused an attempt, or would have in dry-run. */
  breakerRefused(versionIndex: number): void {
    this.#increment(this.layout.breakerAt(versionIndex, 'refusals'))
  }

  load(modelIndex: number, running: number, queued: number): void {
    const at = this.#loads + modelIndex * 2
    this.#words[at] = running
    this.#words[at + 1] = queued
  }

  streamOpened(versionIndex: number): void {
    this.#increment(this.layout.streamAt(versionIndex, 'open'))
  }

  /** Null: it never reached its caller. */
  streamEnded(versionIndex: number, fate: StreamOutcome['fate'] | null): void {
    this.#words[this.layout.streamAt(versionIndex, 'open')]! -= 1
    if (fate !== null) this.#increment(this.layout.streamAt(versionIndex, fate))
  }

  /** What the endpoint did not tell is not counted. */
  summary(versionIndex: number, { finishReason, usage }: AnswerSummary): void {
    if (finishReason !== '')
      this.#increment(this.layout.finishAt(versionIndex, FINISH_NUMBERS.get(finishReason) ?? OTHER_FINISH))
    if (usage === null) return
    const at = this.layout.tokensAt(versionIndex, 'prompt')
    if (isTokenCount(usage.prompt)) this.#words[at]! += usage.prompt
    if (isTokenCount(usage.completion)) this.#words[at + 1]! += usage.completion
  }

  bytes(received: number, sent: number): void {
    this.#words[this.#lane.in]! += received
    this.#words[this.#lane.out]! += sent
  }

  /** Not accepted: turned away before a request was read, because of `server.limits.connections`. */
  connectionCame(accepted: boolean): void {
    this.#increment(accepted ? this.#lane.accepted : this.#lane.refused)
    this.#increment(this.#lane.open)
  }

  connectionClosed(): void {
    this.#words[this.#lane.open]! -= 1
  }

  /** It ended before a request of it came to us. */
  connectionUnused(): void {
    this.#increment(this.#lane.unused)
  }

  serverQuestion(): void {
    this.#increment(this.#lane.asked)
  }

  pressure(level: PressureLevel): void {
    this.#words[this.#lane.pressure] = level
  }

  histogramRefused(): void {
    this.#increment(this.#lane.lost)
  }

  #increment(at: number): void {
    this.#words[at]! += 1
  }
}

export function layoutOf({ versions, models, reasons }: Snapshot): SlabLayout {
  return new SlabLayout({ versions: versions.length, models: models.size, reasons: reasons.length })
}

/** In the order of their numbers; the last is the absence of one. */
export function reasonNames({ reasons }: Snapshot): readonly string[] {
  return [...reasons, '']
}

const FAULT_NUMBERS = numbered(FAULT_CODES)
const ROLE_NUMBERS = numbered(ROLES)
const VERDICT_NUMBERS = numbered(ATTEMPT_VERDICTS)
const FATE_NUMBERS = numbered(SHADOW_FATES)
const AGREEMENT_NUMBERS = numbered(AGREEMENTS)
const CLASS_NUMBERS = numbered(CONSEQUENCE_CLASSES)
const ACTION_NUMBERS = numbered(CONSEQUENCE_ACTIONS)

const FINISH_NUMBERS: ReadonlyMap<string, number> = numbered(FINISH_REASONS)
const OTHER_FINISH = FINISH_REASONS.indexOf('other')

function isTokenCount(tokens: number): boolean {
  return tokens > 0 && tokens <= TOKENS_MAX
}

function numbered<Name extends string>(names: readonly Name[]): ReadonlyMap<Name, number> {
  return new Map(names.map((name, index) => [name, index]))
}

function numberOf<Name extends string>(numbers: ReadonlyMap<Name, number>, name: Name): number {
  const number = numbers.get(name)
  assert(number !== undefined, `${name} is not of a closed list`)
  return number
}
