/** The wire dialects this gateway speaks. Adding one: a folder beside these and one line here. */
import { openInference } from './open-inference/index.ts'
import type { Protocol } from './protocol.ts'
import { raw } from './raw/index.ts'

export const PROTOCOLS: readonly Protocol[] = [openInference, raw]
