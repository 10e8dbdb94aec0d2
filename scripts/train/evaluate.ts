/**
 * Scores held-out rows with ONNX Runtime, on the very bytes that are committed and served: what is
 * reported is what a gateway answers, in 32-bit floats, and not what the trainer believed.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Samples } from './samples.ts'

export interface Answers {
  /** `probability` or `scores`, row-major. */
  readonly chances: Float32Array
  readonly labels: readonly number[]
}

/** Throws when ONNX Runtime cannot load or run the model. */
export async function answersOf(bytes: Uint8Array, samples: Samples): Promise<Answers> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  try {
    const input = new Tensor('float32', samples.features, [samples.rows, samples.columns])
    const answer = await session.run({ [session.inputNames[0]!]: input })
    const chances = (answer.probability ?? answer.scores)!.data as Float32Array
    const labels = Array.from(answer.label!.data as BigInt64Array, Number)
    return { chances, labels }
  } finally {
    await session.release()
  }
}
