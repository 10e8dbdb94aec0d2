/**
 * Hands the bodies of a share of the requests to the capture thread, where the configuration asks for it. What it hands
 * over stays in memory until it is redacted and encrypted; a lane that is short of time or memory hands over nothing.
 */
import type { Captured, Capturer } from '../audit/capture/capturer.ts'
import type { Exchange } from '../domain/exchange.ts'
import { headerOf } from '../domain/head.ts'
import type { PressureLevel } from '../domain/pressure.ts'

/** Length of the JSON part of an answer that has binary tensors behind it. */
const JSON_LENGTH_HEADER = 'inference-header-content-length'

export interface BodyCaptureParts {
  readonly capturer: Capturer
  /** How short of time and memory the lane is now. */
  readonly pressure: () => PressureLevel
}

export class BodyCapture {
  readonly #capturer: Capturer
  readonly #pressure: () => PressureLevel

  constructor({ capturer, pressure }: BodyCaptureParts) {
    this.#capturer = capturer
    this.#pressure = pressure
  }

  /** Of requests that were understood; what could not be read as a request is nobody's question to a model. */
  take(exchange: Exchange): void {
    const { model, intent, id } = exchange
    const settings = model?.capture ?? null
    if (model === null || intent === null || settings === null) return
    if (!this.#capturer.isChosen(id, settings.share)) return
    if (this.#pressure() > 0) return this.#capturer.drop()
    const request = { bytes: exchange.requestBody, json: intent.jsonLength }
    const { receivedAt: at } = exchange
    const captured = { id, at, model: model.name, subject: intent.subject, request }
    this.#capturer.offer({ ...captured, answer: answerOf(exchange) }, settings)
  }
}

function answerOf({ answer, passed }: Exchange): Captured['answer'] {
  if (passed !== null) return 'streamed'
  if (answer === null) return null
  const json = Number(headerOf(answer.headers, JSON_LENGTH_HEADER) ?? -1)
  const isPart = Number.isInteger(json) && json >= 0 && json <= answer.body.length
  return { bytes: answer.body, json: isPart ? json : -1 }
}
