import fc from 'fast-check'
import t from 'tap'
import { AnswerCache } from '../../src/callers/answer-cache.ts'
import { digestOf, fingerprintOf, questionKeyOf, repeatKeyOf } from '../../src/callers/answer-key.ts'
import { keepableOf, wishOf } from '../../src/callers/cache-rules.ts'
import type { Snapshot } from '../../src/domain/routes.ts'
import { makeHead, makeModel } from '../support/make-model.ts'
import { ManualClock } from '../support/manual-clock.ts'

const BODY = Buffer.from('{"inputs":[]}')
const TERMS = { ttlMs: 30_000, shared: false, vary: ['x-tenant'] }
const answerWith = (headers: readonly string[], status = 200) => ({ status, headers, body: BODY })

t.test('no two lists of parts have one digest, however they are cut', async () => {
  const parts = fc.array(fc.string({ maxLength: 6 }), { maxLength: 5 })
  const bodies = fc.uint8Array({ maxLength: 8 })
  fc.assert(
    fc.property(parts, parts, bodies, bodies, (one, other, body, another) => {
      const same = JSON.stringify([one, [...body]]) === JSON.stringify([other, [...another]])
      return (digestOf(one, body) === digestOf(other, another)) === same
    }),
    { numRuns: 2000 },
  )
})

t.test('a question is another with each thing that an answer can depend on', async (t) => {
  const head = (fields: Record<string, string>, target = '/a') => makeHead({ fields, target, path: '/a' })
  const keys = [
    questionKeyOf(['m', 'v1', 'ana'], head({}), BODY),
    questionKeyOf(['m', 'v2', 'ana'], head({}), BODY),
    questionKeyOf(['m', 'v1', 'bo'], head({}), BODY),
    questionKeyOf(['m', 'v1', 'ana'], head({}, '/a?x=1'), BODY),
    questionKeyOf(['m', 'v1', 'ana'], head({}), Buffer.from('{"inputs":[1]}')),
    questionKeyOf(['m', 'v1', 'ana'], head({ accept: 'text/csv' }), BODY),
    questionKeyOf(['m', 'v1', 'ana'], head({ 'accept-encoding': 'gzip' }), BODY),
    questionKeyOf(['m', 'v1', 'ana'], head({ 'content-type': 'a/b' }), BODY),
    questionKeyOf(['m', 'v1', 'ana'], head({ 'content-encoding': 'gzip' }), BODY),
  ]
  const twice = (second: string) =>
    makeHead({ headers: ['accept', 'a/b', 'accept', second], target: '/a', path: '/a' })
  keys.push(
    questionKeyOf(['m', 'v1', 'ana'], twice('c/d'), BODY),
    questionKeyOf(['m', 'v1', 'ana'], twice('e/f'), BODY),
  )
  t.equal(new Set(keys).size, keys.length)
  t.equal(keys[0], questionKeyOf(['m', 'v1', 'ana'], head({ 'x-request-id': '7' }), BODY))
})

t.test('an idempotency key belongs to a model, a caller, a method and a path', async (t) => {
  const head = makeHead({})
  const keys = [
    repeatKeyOf('m', head, 'ana', 'k'),
    repeatKeyOf('n', head, 'ana', 'k'),
    repeatKeyOf('m', head, 'bo', 'k'),
    repeatKeyOf('m', head, 'ana', 'l'),
    repeatKeyOf('m', { ...head, method: 'PUT' }, 'ana', 'k'),
    repeatKeyOf('m', { ...head, path: '/b' }, 'ana', 'k'),
  ]
  t.equal(new Set(keys).size, keys.length)
  const prints = [
    fingerprintOf(head, BODY, ''),
    fingerprintOf(head, Buffer.from('{}'), ''),
    fingerprintOf({ ...head, query: 'a=1' }, BODY, ''),
    fingerprintOf(head, BODY, 'v2'),
    fingerprintOf(makeHead({ fields: { 'content-type': 'x/y' } }), BODY, ''),
  ]
  t.equal(new Set(prints).size, prints.length)
})

t.test('callers may ask for nothing kept, for no kept answer, or for a young one', async (t) => {
  const wish = (value: string) => wishOf(['cache-control', value])
  t.same(wishOf([]), { isOff: false, ageMax: Number.POSITIVE_INFINITY })
  t.match(wish('no-store'), { isOff: true })
  t.match(wish('max-age=5, No-Store'), { isOff: true })
  t.match(wishOf(['cache-control', 'max-age=5', 'cache-control', 'no-store']), { isOff: true })
  t.match(wish('no-cache'), { isOff: false, ageMax: -1 })
  t.match(wish('max-age=10'), { isOff: false, ageMax: 10 })
  t.match(wish('max-age=0'), { ageMax: 0 })
  t.match(wish('max-age=ten'), { ageMax: Number.POSITIVE_INFINITY })
  t.match(wishOf(['pragma', 'no-cache']), { isOff: false, ageMax: -1 })
  t.match(wishOf(['cache-control', 'max-age=3', 'pragma', 'no-cache']), { ageMax: 3 })
})

t.test('endpoints may shorten the time, or forbid keeping', async (t) => {
  const keepable = (headers: readonly string[], terms = TERMS) => keepableOf(answerWith(headers), terms)
  t.same(keepable([]), { ttlMs: 30_000, age: 0 })
  t.same(keepable(['cache-control', 'max-age=10']), { ttlMs: 10_000, age: 0 })
  t.same(keepable(['cache-control', 'max-age=10', 'age', '4']), { ttlMs: 6000, age: 4 })
  t.same(keepable(['cache-control', 'max-age=600']), { ttlMs: 30_000, age: 0 })
  for (const value of ['no-store', 'no-cache', 'max-age=0', 'private, no-store', 'No-Cache="x"']) {
    t.equal(keepable(['cache-control', value]), null, value)
  }
  t.ok(keepable(['cache-control', 'private']), 'what is kept for one caller may be private')
  t.equal(keepable(['cache-control', 'private'], { ...TERMS, shared: true }), null)
  t.match(keepable(['cache-control', 'max-age=9, s-maxage=2'], { ...TERMS, shared: true }), { ttlMs: 2000 })
  t.match(keepable(['cache-control', 'max-age=9, s-maxage=2']), { ttlMs: 9000 })
  t.equal(keepable(['cache-control', 'max-age=5', 'age', '7']), null)
})

t.test('what depends on headers that are no part of the question is not kept', async (t) => {
  const keepable = (headers: readonly string[], status = 200) =>
    keepableOf(answerWith(headers, status), TERMS)
  t.ok(keepable(['vary', 'Accept-Encoding, X-Tenant']))
  t.equal(keepable(['vary', 'x-user']), null)
  t.equal(keepable(['vary', '*']), null)
  t.equal(keepable(['set-cookie', 'a=b']), null)
  for (const status of [201, 204, 206, 302, 404, 500]) t.equal(keepable([], status), null, `${status}`)
})

t.test('each model has a cache of its own, within its bytes', async (t) => {
  const settings = { ttlMs: 1000, bytesMax: 128 * 1024, by: [], vary: [], shared: false }
  const [fraud, price] = [
    makeModel({ name: 'fraud', cache: settings }),
    makeModel({ name: 'price', index: 1 }),
  ]
  const snapshot = {
    models: new Map([
      ['fraud', fraud],
      ['price', price],
    ]),
    server: { lanes: 2 },
  } as unknown as Snapshot
  const changes: [number, number, boolean][] = []
  const cache = new AnswerCache({
    snapshot,
    clock: new ManualClock(),
    onChange: (...change) => void changes.push(change),
  })
  const kept = {
    id: 'i',
    served: 'v1',
    reason: 'primary',
    degraded: '',
    fingerprint: '',
    ageAtFirst: 0,
    keptAt: 0,
    ttlMs: 1000,
    answer: { status: 200, headers: [], body: Buffer.alloc(30_000) },
  }
  t.ok(cache.keep(fraud, 'a', kept))
  t.ok(cache.of(fraud, 'a'))
  t.equal(cache.of(price, 'a'), undefined)
  t.notOk(cache.keep(price, 'a', kept), 'a model without a cache keeps nothing')
  cache.keep(fraud, 'b', kept)
  cache.keep(fraud, 'c', kept)
  t.equal(cache.of(fraud, 'a'), undefined, 'a lane has its share of the bytes')
  t.ok(changes.some(([model, , isForgotten]) => model === 0 && isForgotten))
  t.ok(changes.every(([, bytes]) => bytes <= 64 * 1024))
})
