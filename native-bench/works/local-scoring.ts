/**
 * Models that the gateway scores itself, beside the runtime called directly on the same core. The gateway takes a
 * request, reads its JSON, hands it to a thread and writes JSON; the runtime only runs. One row at a time shows
 * what a request costs; many at a time show whether gathering them pays; many rows in a request are the scoring itself.
 */
import { join } from 'node:path'
import type { ScorerDone, ScorerJob } from '../local-scorer.ts'
import { BenchProcess, MEASURED_CORE } from '../rig/bench-process.ts'
import { binaryDigits, ROWS } from '../rig/bodies.ts'
import type { Contender } from '../rig/contender.ts'
import type { Ran } from '../rig/load.ts'
import { gateway, gatewayAgainst } from '../rig/parts.ts'
import { ENTRIES } from '../rig/rig.ts'
import type { PairedWork, Part } from '../rig/work.ts'

const PATH = 'path=/v2/models/digits/infer rate=0'

type FromScorer = ScorerDone | { readonly kind: 'ready' }

function numberIn(words: string, key: string): number {
  return Number([...words.matchAll(new RegExp(`(?:^| )${key}=([\\d.]+)`, 'g'))].at(-1)?.[1] ?? 0)
}

/** As clients of NumPy arrays send them: no number is text. */
const BINARY = `header=content-type:application/octet-stream header=inference-header-content-length:${binaryDigits(ROWS).jsonLength}`

const NOTHING = { count: 0, buckets: [], p50: 0, p99: 0, max: 0 }

function ranOf({ runs, seconds, cpuNs }: ScorerDone): Ran {
  return {
    kind: 'ran',
    seconds,
    sent: runs,
    answered: runs,
    perSecond: runs / seconds,
    failed: 0,
    wrongStatus: 0,
    wrongBody: 0,
    starved: 0,
    dropped: 0,
    unanswered: 0,
    opened: 0,
    problem: '',
    cpuNs,
    busiestThreadNs: cpuNs,
    coreBusyNs: cpuNs,
    coreStolenNs: 0,
    latency: NOTHING,
    lag: NOTHING,
    endpoints: [],
  }
}

async function startRuntime(): Promise<Contender> {
  const child = new BenchProcess<ScorerJob, FromScorer>(join(ENTRIES, 'local-scorer.js'), {}, MEASURED_CORE)
  await child.ask('ready')
  const measure = async (words: string): Promise<Ran> => {
    const rows = words.includes('/digits.') ? ROWS : 1
    const [seconds, warmSeconds] = [numberIn(words, 'seconds'), numberIn(words, 'warm')]
    return ranOf(await child.ask('scored', { rows, seconds, warmSeconds }))
  }
  const stop = async (): Promise<void> => child.end()
  return { name: 'runtime', port: 0, prefix: '', processes: () => [child.id], stop, measure }
}

const runtime: Part = { name: 'runtime', start: startRuntime }

export const localScoring: PairedWork = {
  kind: 'paired',
  name: 'local-scoring',
  title: 'Local ONNX models, alone and batched, beside the runtime',
  parts: [gateway('gateway', 'gateway-local.toml'), gatewayAgainst('gateway', 'gateway-local.toml'), runtime],
  points: [
    {
      name: 'one row, one at a time',
      words: `${PATH} body=@{{BODIES}}/digit.json connections=1`,
      blocksMax: 4,
    },
    {
      name: 'one row, 64 at a time',
      words: `${PATH} body=@{{BODIES}}/digit.json connections=64`,
      blocksMax: 4,
    },
    { name: `${ROWS} rows, 8 at a time`, words: `${PATH} body=@{{BODIES}}/digits.json connections=8` },
    {
      name: `${ROWS} rows in binary, 8 at a time`,
      words: `${PATH} body=@{{BODIES}}/digits.bin ${BINARY} connections=8`,
    },
  ],
  pairs: [
    { held: 'gateway', against: 'runtime' },
    { held: 'gateway', against: 'gateway (against)' },
  ],
  hasOtherBodies: true,
  proofRate: 100,
}
