/**
 * What a runtime is: something that turns a file into a model that scores tensors. Adding one is one
 * file here and one line in index.ts.
 *
 * A runtime runs on scoring threads only. It throws ModelRefused for what the owner of the file has to
 * mend; anything else it throws becomes the detail of a fault. It need not check requests: names, types
 * and shapes were held against its signature before `run`.
 */
import type { LocalVersion } from '../../domain/routes.ts'
import type { ModelSignature, Tensor } from '../../protocols/open-inference/tensors.ts'

export interface Runtime {
  readonly name: LocalVersion['runtime']
  /** The `platform` of V2 metadata. */
  readonly platform: string
  /** Loads and runs code that is not JavaScript: a thread that is within it cannot be ended. */
  readonly isNative: boolean
  load(file: string): Promise<LoadedModel>
}

export interface LoadedModel {
  readonly signature: ModelSignature
  /** Requests may be joined along the first dimension of every input and output. */
  readonly batchable: boolean
  /** `outputs`: names wanted, at least these; null: all. Answers in the model's order. */
  run(inputs: readonly Tensor[], outputs: readonly string[] | null): Promise<readonly Tensor[]>
  release(): Promise<void>
}

/** The file is there, but it is not a model this runtime can serve. The message is fit for callers. */
export class ModelRefused extends Error {
  override readonly name = 'ModelRefused'
}
