/**
 * One batch on its way to a thread and back. Bodies are copied once, into one buffer that is handed
 * over: they are shared with shadows and the record, so they can never be transferred themselves.
 */
import { fault } from '../domain/fault.ts'
import { answerHeaders } from '../protocols/open-inference/encode-answer.ts'
import {
  ANSWER_FIELDS,
  ITEM_BUDGET_MS,
  ITEM_FIELDS,
  ITEM_JSON_LENGTH,
  ITEM_LENGTH,
  ITEM_LIMIT,
  ITEM_LIMITS,
  ITEM_OFFSET,
  type ModelSource,
  type ScoreResult,
  type ScoreTask,
} from '../workers/messages.ts'
import type { Job } from './job.ts'

export function batchOf(source: ModelSource, jobs: readonly Job[], now: number): ScoreTask {
  const items = new Float64Array(jobs.length * ITEM_FIELDS)
  const bytes = new ArrayBuffer(jobs.reduce((sum, job) => sum + job.body.length, 0))
  const target = new Uint8Array(bytes)
  let offset = 0
  let at = 0
  for (const job of jobs) {
    job.hand(now)
    target.set(job.body, offset)
    items[at + ITEM_OFFSET] = offset
    items[at + ITEM_LENGTH] = job.body.length
    items[at + ITEM_JSON_LENGTH] = job.jsonLength
    items[at + ITEM_BUDGET_MS] = job.dueAt - now
    items[at + ITEM_LIMIT] = ITEM_LIMITS.indexOf(job.limit)
    offset += job.body.length
    at += ITEM_FIELDS
  }
  return { source, items, bytes }
}

/** Gives every job its own part of the result. Answers are views of the one buffer that came back. */
export function settleBatch(jobs: readonly Job[], result: ScoreResult, now: number): void {
  const { answers, bytes, faults } = result
  for (const [index, reason] of faults) jobs[index]!.fail(reason, now)
  jobs.forEach((job, index) => {
    const at = index * ANSWER_FIELDS
    const length = answers[at + 1]!
    if (length === -1) return
    const headers = answerHeaders(answers[at + 2]!)
    job.answer({ status: 200, headers, body: new Uint8Array(bytes, answers[at]!, length) }, now)
  })
}

export function failBatch(jobs: readonly Job[], cause: string, isGivenUp: boolean, now: number): void {
  const words = isGivenUp
    ? 'the model was not done long after all its time'
    : 'the scoring thread ended while the model was scoring'
  const reason = fault('scoring-failed', words, cause)
  for (const job of jobs) job.fail(reason, now)
}
