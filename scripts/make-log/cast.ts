/** Who appears in a made log: models as a bank and a shop would run them, their callers, and what goes wrong with them. */
import type { Chance } from '../../src/kernel/chance.ts'

export interface CastModel {
  readonly name: string
  readonly protocol: 'open-inference' | 'kserve-v1' | 'openai' | 'raw'
  readonly path: string
  readonly contentType: string
  /** Share of all requests; normalized. */
  readonly weight: number
  readonly versions: readonly CastVersion[]
  /** Version that gets copies of every answered request, or empty. */
  readonly shadow: string
  /** Arms take the place of primary and canary when given. */
  readonly experiment: string
  /** Of its answers are streams of tokens. */
  readonly streaming: number
  /** Of its decisions are told the outcome of, in this unit. */
  readonly outcomes: { readonly share: number; readonly unit: string; readonly mean: number } | null
}

export interface CastVersion {
  readonly name: string
  readonly endpoints: readonly string[]
  /** Middle time of an answer; the rest follows a log-normal course. */
  readonly medianMs: number
  readonly failing: number
  readonly answerBytes: number
}

const KINDS: readonly Omit<CastModel, 'name' | 'path' | 'versions'>[] = [
  {
    protocol: 'open-inference',
    contentType: 'application/json',
    weight: 6,
    shadow: 'v3',
    experiment: '',
    streaming: 0,
    outcomes: { share: 0.02, unit: 'EUR', mean: -14 },
  },
  {
    protocol: 'openai',
    contentType: 'application/json',
    weight: 2,
    shadow: '',
    experiment: '',
    streaming: 0.7,
    outcomes: { share: 0.01, unit: '', mean: 0.8 },
  },
  {
    protocol: 'open-inference',
    contentType: 'application/octet-stream',
    weight: 3,
    shadow: '',
    experiment: 'price-2026-11',
    streaming: 0,
    outcomes: { share: 0.05, unit: 'EUR', mean: 31 },
  },
  {
    protocol: 'kserve-v1',
    contentType: 'application/json',
    weight: 1,
    shadow: 'v3',
    experiment: '',
    streaming: 0,
    outcomes: null,
  },
  {
    protocol: 'raw',
    contentType: 'image/jpeg',
    weight: 1,
    shadow: '',
    experiment: '',
    streaming: 0,
    outcomes: null,
  },
]
const NAMES = ['fraud', 'assistant', 'pricing', 'churn', 'vision']
const MEDIAN_MS = [8, 900, 5, 14, 40]

/** `names`: each plays one of five parts, in their order. */
export function castModels(names: readonly string[]): CastModel[] {
  return names.map((name, index) => {
    const part = index % KINDS.length
    const kind = KINDS[part]!
    const versions = ['v1', 'v2', 'v3'].map((version, place) => ({
      name: version,
      endpoints: [1, 2].map((host) => `http://10.${index}.${place}.${host}:8000`),
      medianMs: MEDIAN_MS[part]! * (1 + 0.3 * place),
      failing: 0.0005 * (place + 1),
      answerBytes: part === 1 ? 2400 : 180,
    }))
    return { ...kind, name, path: pathOf(kind.protocol, name), versions }
  })
}

/** Names for `count` models: those of the parts first. */
export function castNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const name = NAMES[index % NAMES.length]!
    return index < NAMES.length ? name : `${name}-${Math.floor(index / NAMES.length) + 1}`
  })
}

function pathOf(protocol: CastModel['protocol'], name: string): string {
  if (protocol === 'openai') return '/v1/chat/completions'
  if (protocol === 'kserve-v1') return `/v1/models/${name}:predict`
  return protocol === 'raw' ? `/models/${name}/score` : `/v2/models/${name}/infer`
}

const AGENTS = [
  'python-requests/2.32.3',
  'python-httpx/0.27.2',
  'okhttp/4.12.0',
  'Go-http-client/1.1',
  'axios/1.7.7',
  'OpenAI/Python 1.54.3',
  'curl/8.5.0',
]

export interface CastCaller {
  readonly address: string
  readonly userAgent: string
}

/** Some ask far more than others. */
export function castCallers(count: number): CastCaller[] {
  return Array.from({ length: count }, (_, index) => ({
    address: `10.9.${Math.floor(index / 200)}.${(index % 200) + 10}`,
    userAgent: AGENTS[index % AGENTS.length]!,
  }))
}

/** One of `list`; those at its beginning far more often. */
export function oftenFirst<T>(list: readonly T[], chance: Chance): T {
  return list[Math.floor(list.length * chance.next() ** 2)]!
}

/** Log-normal around `median`. */
export function around(median: number, spread: number, chance: Chance): number {
  const normal = Math.sqrt(-2 * Math.log(1 - chance.next())) * Math.cos(2 * Math.PI * chance.next())
  return median * Math.exp(spread * normal)
}
