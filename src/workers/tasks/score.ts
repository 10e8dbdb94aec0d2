/**
 * Task: one batch of requests for one version. Parses, checks, scores and encodes on the scoring
 * thread, so a lane never touches a tensor. Every item gets an answer or a Fault of its own, whatever its
 * body or its outputs do to the code that reads or writes them; all answers travel back in one
 * transferred buffer.
 */
import { Buffer } from 'node:buffer'
import { type Fault, fault, isFault } from '../../domain/fault.ts'
import { systemClock } from '../../kernel/clock.ts'
import { decodeRequest, type InferRequest } from '../../protocols/open-inference/decode-request.ts'
import { type EncodedAnswer, encodeAnswer } from '../../protocols/open-inference/encode-answer.ts'
import type { ModelSignature } from '../../protocols/open-inference/tensors.ts'
import {
  ANSWER_FIELDS,
  ITEM_BUDGET_MS,
  ITEM_FIELDS,
  ITEM_JSON_LENGTH,
  ITEM_LENGTH,
  ITEM_LIMIT,
  ITEM_LIMITS,
  ITEM_OFFSET,
  type ScoreResult,
  type ScoreTask,
} from '../messages.ts'
import { modelOf } from '../model-cache.ts'
import { detailOf, type Scored, scoreRequests } from '../score-requests.ts'
import { transferring } from '../transfer.ts'

export async function run(task: ScoreTask): Promise<ScoreResult> {
  const startedAt = systemClock.now()
  const count = task.items.length / ITEM_FIELDS
  const model = await modelOf(task.source)
  if (isFault(model)) return pack(Array.from({ length: count }, () => model))
  const requests = Array.from({ length: count }, (_, index) => requestAt(task, index, model.signature))
  const scored = await scoreRequests(model, requests, (index) => {
    const budgetMs = task.items[index * ITEM_FIELDS + ITEM_BUDGET_MS]!
    return systemClock.now() - startedAt >= budgetMs ? lateFault(task, index) : null
  })
  return pack(scored.map((result, index) => answerOf(task, requests[index]!, result)))
}

function requestAt(task: ScoreTask, index: number, signature: ModelSignature): InferRequest | Fault {
  const at = index * ITEM_FIELDS
  const { items, bytes } = task
  const body = new Uint8Array(bytes, items[at + ITEM_OFFSET]!, items[at + ITEM_LENGTH]!)
  try {
    return decodeRequest(body, items[at + ITEM_JSON_LENGTH]!, signature)
  } catch (error) {
    return fault('bad-tensor', 'the tensors of the request cannot be read', nameOf(error))
  }
}

/** Of the words of an error only its name: the rest may repeat the body. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}

function lateFault(task: ScoreTask, index: number): Fault {
  const limit = ITEM_LIMITS[task.items[index * ITEM_FIELDS + ITEM_LIMIT]!]!
  return limit === 'deadline-exceeded'
    ? fault(limit, 'the deadline passed before the model ran')
    : fault(limit, 'the time was up before the model ran: it was still scoring earlier requests')
}

function answerOf(task: ScoreTask, request: InferRequest | Fault, scored: Scored): EncodedAnswer | Fault {
  if (isFault(scored)) return scored
  if (isFault(request)) return request
  try {
    return encodeAnswer(task.source, request, scored)
  } catch (error) {
    return fault('scoring-failed', 'what the model gave cannot be written as an answer', detailOf(error))
  }
}

function pack(results: readonly (EncodedAnswer | Fault)[]): ScoreResult {
  const length = results.reduce((sum, result) => sum + (isFault(result) ? 0 : result.byteLength), 0)
  const bytes = new ArrayBuffer(length)
  const target = Buffer.from(bytes)
  const answers = new Float64Array(results.length * ANSWER_FIELDS)
  const faults: [number, Fault][] = []
  let at = 0
  results.forEach((result, index) => {
    if (isFault(result)) {
      faults.push([index, result])
      answers.set([0, -1, -1], index * ANSWER_FIELDS)
      return
    }
    const binary = result.blobs.length > 0
    answers.set([at, result.byteLength, binary ? result.jsonLength : -1], index * ANSWER_FIELDS)
    target.write(result.json, at)
    at += result.jsonLength
    for (const blob of result.blobs) {
      target.set(blob, at)
      at += blob.length
    }
  })
  return transferring({ answers, bytes, faults }, [bytes])
}
