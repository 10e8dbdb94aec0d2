/** The wire dialects this gateway speaks. Adding one: a folder beside these and one line here. */
import { kserveV1 } from './kserve-v1/index.ts'
import { openInference } from './open-inference/index.ts'
import { openai } from './openai/index.ts'
import type { Protocol } from './protocol.ts'
import { raw } from './raw/index.ts'

export const PROTOCOLS: readonly Protocol[] = [openInference, openai, kserveV1, raw]
