/** Every runtime a local version may name. Configuration checks and contract tests derive from this list. */
import type { LocalVersion } from '../../domain/routes.ts'
import type { Runtime } from './contract.ts'
import { javascript } from './javascript.ts'
import { onnx } from './onnx.ts'

export const RUNTIMES: readonly Runtime[] = [onnx, javascript]

export function runtimeOf(name: LocalVersion['runtime']): Runtime {
  return RUNTIMES.find((runtime) => runtime.name === name)!
}
