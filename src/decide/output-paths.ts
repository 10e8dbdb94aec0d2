/** Paths of a model's output checks, split once for a model and not once a request. */
import type { Model } from '../domain/routes.ts'
import { type JsonPath, parsePointer } from '../kernel/json-scan.ts'

const PATHS = new WeakMap<Model, readonly JsonPath[]>()

export function outputPathsOf(model: Model): readonly JsonPath[] {
  let paths = PATHS.get(model)
  if (paths === undefined) {
    paths = model.output.map((check) => parsePointer(check.pointer))
    PATHS.set(model, paths)
  }
  return paths
}
