/**
 * Many checked requests through one model in as few runs as can be. Requests that fit together are one
 * run; when a joined run fails, its requests run again one by one, so that only the culprit fails.
 *
 * Promises: one result per request, in order; nobody's trouble becomes another's. Never runs a request
 * whose time is up: `lateness` is asked right before each run, and its Fault says whose limit it was.
 */
import { type Fault, fault, isFault } from '../domain/fault.ts'
import { type InferRequest, unknownOutput } from '../protocols/open-inference/decode-request.ts'
import type { Tensor } from '../protocols/open-inference/tensors.ts'
import { join, joinKey, rowsOf, split } from './join.ts'
import type { LoadedModel } from './runtimes/contract.ts'

/** Null: there is time left. */
export type Lateness = (index: number) => Fault | null

export type Scored = readonly Tensor[] | Fault

interface Run {
  readonly model: LoadedModel
  readonly requests: readonly (InferRequest | Fault)[]
  readonly results: (Scored | undefined)[]
  readonly lateness: Lateness
}

/** Models that said they were row-wise and then answered with another number of rows: never joined again. */
const unjoinable = new WeakSet<LoadedModel>()

export async function scoreRequests(
  model: LoadedModel,
  requests: readonly (InferRequest | Fault)[],
  lateness: Lateness,
): Promise<readonly Scored[]> {
  const run: Run = { model, requests, results: requests.map(() => undefined), lateness }
  for (const group of groupsOf(run)) {
    if (group.length === 1 || !(await scoreJoined(run, group))) await scoreEach(run, group)
  }
  return run.results as readonly Scored[]
}

/** Also settles what never runs: requests that were refused. */
function groupsOf({ model, requests, results }: Run): Iterable<readonly number[]> {
  const joining = model.batchable && !unjoinable.has(model)
  const groups = new Map<string | number, number[]>()
  requests.forEach((request, index) => {
    if (isFault(request)) {
      results[index] = request
      return
    }
    const key = (joining ? joinKey(request.inputs) : null) ?? index
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [index])
    else group.push(index)
  })
  return groups.values()
}

/** False: some are not settled yet and have to run alone. */
async function scoreJoined(run: Run, group: readonly number[]): Promise<boolean> {
  const ready = group.filter((index) => !refusedAsLate(run, index))
  if (ready.length < 2) return ready.length === 0
  const requests = ready.map((index) => run.requests[index] as InferRequest)
  let outputs: readonly Tensor[]
  try {
    outputs = await run.model.run(join(requests.map((request) => request.inputs)), wantedByAny(requests))
  } catch {
    return false
  }
  const parts = split(
    outputs,
    requests.map((request) => rowsOf(request.inputs)),
  )
  if (parts === null) {
    unjoinable.add(run.model)
    return false
  }
  ready.forEach((index, place) => {
    run.results[index] = chosen(requests[place]!, parts[place]!)
  })
  return true
}

async function scoreEach(run: Run, group: readonly number[]): Promise<void> {
  for (const index of group) {
    if (run.results[index] !== undefined || refusedAsLate(run, index)) continue
    const request = run.requests[index] as InferRequest
    try {
      const outputs = await run.model.run(request.inputs, wantedByAny([request]))
      run.results[index] = chosen(request, outputs)
    } catch (error) {
      run.results[index] = fault('scoring-failed', 'the model failed while scoring', detailOf(error))
    }
  }
}

function refusedAsLate(run: Run, index: number): boolean {
  const late = run.lateness(index)
  if (late === null) return false
  run.results[index] = late
  return true
}

/** Null as soon as one of them wants everything. */
function wantedByAny(requests: readonly InferRequest[]): readonly string[] | null {
  const names = new Set<string>()
  for (const { outputs } of requests) {
    if (outputs === null) return null
    for (const output of outputs) names.add(output.name)
  }
  return [...names]
}

/** The outputs a request asked for, in its order. */
function chosen(request: InferRequest, outputs: readonly Tensor[]): Scored {
  if (request.outputs === null) return outputs
  const mine: Tensor[] = []
  for (const { name } of request.outputs) {
    const output = outputs.find((candidate) => candidate.name === name)
    if (output === undefined) return unknownOutput(name, outputs)
    mine.push(output)
  }
  return mine
}

const DETAIL_LENGTH_MAX = 1000

export function detailOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).slice(0, DETAIL_LENGTH_MAX)
}
