/**
 * The runtime called directly, a process of its own: one session with one thread, tensors that are ready, one run after
 * another. No request, no JSON, no thread to hand anything to. Told how many rows and for how long, it says how
 * many runs that were. It does not know the gateway's code.
 */

import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { digits } from './rig/bodies.ts'
import { ROOT } from './rig/rig.ts'

export interface ScorerJob {
  readonly rows: number
  readonly seconds: number
  readonly warmSeconds: number
}

export interface ScorerDone {
  readonly kind: 'scored'
  readonly runs: number
  readonly seconds: number
  readonly cpuNs: number
}

const session = await InferenceSession.create(join(ROOT, 'models/digits/forest.onnx'), {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
})

async function runFor(tensor: Tensor, seconds: number): Promise<{ runs: number; tookMs: number }> {
  const beganAt = performance.now()
  let runs = 0
  while (performance.now() - beganAt < seconds * 1000) {
    await session.run({ [session.inputNames[0]!]: tensor })
    runs += 1
  }
  return { runs, tookMs: performance.now() - beganAt }
}

async function score({ rows, seconds, warmSeconds }: ScorerJob): Promise<ScorerDone> {
  const [input] = digits(rows).inputs
  const tensor = new Tensor('float32', Float32Array.from(input.data), [...input.shape])
  await runFor(tensor, warmSeconds)
  const before = process.cpuUsage()
  const { runs, tookMs } = await runFor(tensor, seconds)
  const { user, system } = process.cpuUsage(before)
  return { kind: 'scored', runs, seconds: tookMs / 1000, cpuNs: (user + system) * 1000 }
}

process.on('message', (job: ScorerJob) => {
  score(job).then((done) => process.send?.(done))
})
process.on('disconnect', () => process.exit(0))
process.send?.({ kind: 'ready' })
