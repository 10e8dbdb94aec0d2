/** Metrics of what is counted and kept for each caller; rows of the one table (metric-table.ts). */
import { ofModels, type Sample } from './metric-samples.ts'
import type { Reading } from './reading.ts'
import { CACHE_WORDS, type CacheWord, REPEAT_WORDS, type RepeatWord } from './slab-layout.ts'

const RESULTS = ['admitted', 'refused'] as const
/** What a request with an idempotency key can be; the others tell of its answer. */
const REPEATS = REPEAT_WORDS.slice(0, 5)
const LOOKS = CACHE_WORDS.slice(0, 3)

const STORES: readonly (readonly [
  store: string,
  at: (reading: Reading, model: number, word: Common) => number,
])[] = [
  ['idempotency', ({ layout }, model, word) => layout.repeatAt(model, word)],
  ['cache', ({ layout }, model, word) => layout.cacheAt(model, word)],
]
type Common = RepeatWord & CacheWord

export const CALLER_METRICS = [
  {
    name: 'modelgate_rate_limit_requests_total',
    type: 'counter',
    labels: ['model', 'result'],
    help: 'Requests held against rate limits per caller: admitted, or refused (429 rate-limited).',
    samples: (reading: Reading) =>
      byWord(reading, RESULTS, (model, word) => reading.layout.rateAt(model, word)),
  },
  {
    name: 'modelgate_rate_limit_forgotten_total',
    type: 'counter',
    labels: ['model'],
    help: 'Callers below their limit whose use was forgotten to make room for others: there are more callers than buckets.',
    samples: (reading: Reading) =>
      ofModels(reading, ({ index }) => reading.layout.rateAt(index, 'forgotten')),
  },
  {
    name: 'modelgate_idempotent_requests_total',
    type: 'counter',
    labels: ['model', 'result'],
    help: 'Requests with an idempotency key: first of it, replayed (got the first one’s answer), under-way (409), mismatch (422), unavailable (503).',
    samples: (reading: Reading) =>
      byWord(reading, REPEATS, (model, word) => reading.layout.repeatAt(model, word)),
  },
  {
    name: 'modelgate_idempotent_answers_not_kept_total',
    type: 'counter',
    labels: ['model'],
    help: 'Answers to requests with an idempotency key that were too large to keep: a repeat is done anew.',
    samples: (reading: Reading) =>
      ofModels(reading, ({ index }) => reading.layout.repeatAt(index, 'not-kept')),
  },
  {
    name: 'modelgate_cache_requests_total',
    type: 'counter',
    labels: ['model', 'result'],
    help: 'Requests held against the cache: hit (no version was asked), miss, bypass (the caller wants no kept answer, or it is no question).',
    samples: (reading: Reading) =>
      byWord(reading, LOOKS, (model, word) => reading.layout.cacheAt(model, word)),
  },
  {
    name: 'modelgate_cache_stored_total',
    type: 'counter',
    labels: ['model'],
    help: 'Answers that were kept for equal questions.',
    samples: (reading: Reading) => ofModels(reading, ({ index }) => reading.layout.cacheAt(index, 'stored')),
  },
  {
    name: 'modelgate_kept_answers_forgotten_total',
    type: 'counter',
    labels: ['model', 'store'],
    help: 'Answers that had to leave before their time because `bytes` was used up, for repeats (idempotency) or for equal questions (cache).',
    samples: (reading: Reading) => byStore(reading, 'forgotten'),
  },
  {
    name: 'modelgate_kept_answers_bytes',
    type: 'gauge',
    labels: ['model', 'store'],
    help: 'Memory that kept answers take, over all lanes.',
    samples: (reading: Reading) => byStore(reading, 'bytes'),
  },
] as const

function byWord<Word extends string>(
  reading: Reading,
  words: readonly Word[],
  at: (modelIndex: number, word: Word) => number,
): Iterable<Sample<number>> {
  return reading.models.flatMap(({ index, name }) =>
    words.map((word) => ({ labels: [name, word], value: reading.sum(at(index, word)) })),
  )
}

function byStore(reading: Reading, word: Common): Iterable<Sample<number>> {
  return reading.models.flatMap(({ index, name }) =>
    STORES.map(([store, at]) => ({ labels: [name, store], value: reading.sum(at(reading, index, word)) })),
  )
}
