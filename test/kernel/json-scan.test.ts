import fc from 'fast-check'
import t from 'tap'
import { isText, JSON_DEPTH_MAX, parsePointer, rawOf, scanJson, textOf } from '../../src/kernel/json-scan.ts'

const bytesOf = (text: string) => Buffer.from(text, 'utf8')

function valueAt(text: string, pointer: string): unknown {
  const bytes = bytesOf(text)
  const scan = scanJson(bytes, [parsePointer(pointer)])
  if (!scan.ok) return `refused at ${scan.at}`
  const span = scan.found[0]
  if (span === null || span === undefined) return undefined
  return JSON.parse(bytes.toString('utf8', span.start, span.end))
}

function lookUp(value: unknown, pointer: string): unknown {
  let current = value
  for (const token of parsePointer(pointer)) {
    if (Array.isArray(current)) current = /^(0|[1-9]\d*)$/.test(token) ? current[Number(token)] : undefined
    else if (typeof current === 'object' && current !== null)
      current = Object.hasOwn(current, token) ? (current as Record<string, unknown>)[token] : undefined
    else return undefined
  }
  return current
}

t.test('accepts exactly what JSON.parse accepts', async (t) => {
  const texts = [
    '{}',
    '[]',
    '0',
    '-0',
    '1.5e+3',
    '"a"',
    'true',
    ' null ',
    '{"a":[1,2,{"b":"\\u00e9\\n"}]}',
    '',
    ' ',
    '{',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    "{'a':1}",
    '01',
    '1.',
    '.5',
    '+1',
    '1e',
    'nul',
    'NaN',
    '-',
    '[1 2]',
    '{"a" 1}',
    '"\\x"',
    '"\\u12g4"',
    '"a\nb"',
    '"open',
    '[]]',
    'true false',
    '\u00a0{}',
    '-Infinity',
  ]
  for (const text of texts) {
    let valid = true
    try {
      JSON.parse(text)
    } catch {
      valid = false
    }
    t.equal(scanJson(bytesOf(text), []).ok, valid, JSON.stringify(text))
  }
})

t.test('agrees with JSON.parse on mutated documents', async (t) => {
  const mutated = fc
    .tuple(
      fc.json(),
      fc.nat(),
      fc.constantFrom('', '"', '\\', '{', '}', '[', ']', ',', ':', '0', '-', 'e', '\n', ' '),
    )
    .map(([text, at, piece]) => {
      const cut = text.length === 0 ? 0 : at % text.length
      return text.slice(0, cut) + piece + text.slice(cut + 1)
    })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.oneof(fc.json(), mutated), (text) => {
        let valid = true
        try {
          JSON.parse(text)
        } catch {
          valid = false
        }
        return scanJson(bytesOf(text), []).ok === valid
      }),
      { numRuns: 4000 },
    ),
  )
})

t.test('finds the value a pointer names, wherever it is', async (t) => {
  t.equal(valueAt('{"a":{"b":[10,{"c":"x"}]}}', '/a/b/1/c'), 'x')
  t.equal(valueAt('{"a~b":{"c/d":7}}', '/a~0b/c~1d'), 7)
  t.equal(valueAt('{"\\u0061":1}', '/a'), 1, 'an escaped key is the same key')
  t.equal(valueAt('{"a":{"b":1},"a":{"c":2}}', '/a/b'), undefined, 'a repeated key forgets the first')
  t.equal(valueAt('{"a":1,"a":2}', '/a'), 2, 'the last of repeated keys counts')
  t.equal(valueAt('[1,2]', '/01'), undefined, 'no leading zeros in an index')
  t.same(valueAt(' [1,2] ', ''), [1, 2], 'the empty pointer is the document')
})

t.test('finds what a walk over the parsed document finds', async (t) => {
  const token = fc.constantFrom('a', 'b', '0', '1', 'inputs')
  const json = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(1, 'x', null, true),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(token, tie('node'), { maxKeys: 3 }),
    ),
  })).node
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(json, fc.array(token, { maxLength: 4 }), (value, tokens) => {
        const pointer = tokens.map((piece) => `/${piece}`).join('')
        const text = JSON.stringify(value)
        return JSON.stringify(valueAt(text, pointer)) === JSON.stringify(lookUp(JSON.parse(text), pointer))
      }),
      { numRuns: 2000 },
    ),
  )
})

t.test('says where it stopped and what it expected there', async (t) => {
  const scan = scanJson(bytesOf('{"inputs": [1, }'), [])
  t.same(scan, { ok: false, at: 15, expected: 'a JSON value' })
})

t.test('nesting is bounded', async (t) => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
  t.equal(scanJson(bytesOf(deep(JSON_DEPTH_MAX)), []).ok, true)
  t.equal(scanJson(bytesOf(deep(JSON_DEPTH_MAX + 1)), []).ok, false)
})

t.test('gives text with its escapes resolved and numbers as written', async (t) => {
  const bytes = bytesOf('{"s":"\\u00fc\\"ü","n":-1.50e2}')
  const scan = scanJson(bytes, [['s'], ['n']])
  t.ok(scan.ok)
  if (!scan.ok) return
  t.equal(textOf(bytes, scan.found[0]!), 'ü"ü')
  t.equal(rawOf(bytes, scan.found[1]!), '-1.50e2')
})

t.test('items that several pointers name are found, in whatever order the pointers come', async (t) => {
  const bytes = bytesOf('[[0,1],[2,3],[4,5],[6,7]]')
  const scan = scanJson(
    bytes,
    ['/3/1', '/1', '/1/0', '/3/0', '/4', '/0/00', '/9999999999999999'].map(parsePointer),
  )
  t.same(scan.ok && scan.found.map((span) => span && rawOf(bytes, span)), [
    '7',
    '[2,3]',
    '2',
    '6',
    null,
    null,
    null,
  ])
})

t.test('a wanted item of a long list costs no more than the list itself', async (t) => {
  const bytes = bytesOf(`{"data":[${'1,'.repeat(400_000)}1]}`)
  const best = (paths: readonly (readonly string[])[]): number => {
    let ms = Number.POSITIVE_INFINITY
    for (let round = 0; round < 8; round += 1) {
      const startedAt = performance.now()
      scanJson(bytes, paths)
      ms = Math.min(ms, performance.now() - startedAt)
    }
    return ms
  }
  const bare = best([])
  const asked = best(Array.from({ length: 8 }, (_, item) => ['data', String(item)]))
  t.ok(asked < 2 * bare, `${asked.toFixed(1)} ms with wanted items, ${bare.toFixed(1)} ms without`)
})

t.test('a key is found, and a text is known, however it is escaped', async (t) => {
  const spellings = ['"model"', '"m\\u006fdel"', '"mode\\u006c"', '"\\u006d\\u006f\\u0064\\u0065\\u006c"']
  const others = ['"mode"', '"models"', '"Model"', '""', '"m\\u0065del"', '"\\"odel"', '"ümodel"', '"mödel"']
  const is = (written: string) =>
    isText(bytesOf(written), { kind: 'string', start: 0, end: bytesOf(written).length }, 'model')
  for (const key of spellings) {
    t.equal(valueAt(`{"x":0,${key}:1}`, '/model'), 1, key)
    t.ok(is(key), key)
  }
  for (const key of others) {
    t.equal(valueAt(`{${key}:1}`, '/model'), undefined, key)
    t.notOk(is(key), key)
  }
  t.equal(valueAt('{"":1,"ü":2,"üü":3}', '/ü'), 2)
  t.equal(valueAt('{"":1,"ü":2}', '/'), 1)
  t.equal(valueAt('{"\\ud83d\\ude00":1}', '/😀'), 1)
})
