/** All works, in the order in which they are measured. */
import type { Work } from '../rig/work.ts'
import { breakerOpen } from './breaker-open.ts'
import { churn } from './churn.ts'
import { coldStart } from './cold-start.ts'
import { idle } from './idle.ts'
import { largeBodies } from './large-bodies.ts'
import { localScoring } from './local-scoring.ts'
import { manyModels } from './many-models.ts'
import { otherProxiesInJavaScript } from './other-proxies-in-javascript.ts'
import { passThrough } from './pass-through.ts'
import { shadow } from './shadow.ts'
import { split } from './split.ts'
import { stack } from './stack.ts'
import { streams } from './streams.ts'

export const WORKS: readonly Work[] = [
  passThrough,
  stack,
  split,
  shadow,
  manyModels,
  largeBodies,
  breakerOpen,
  streams,
  churn,
  otherProxiesInJavaScript,
  localScoring,
  idle,
  coldStart,
]
