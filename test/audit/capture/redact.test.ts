/** Redaction: what a path names is gone whatever the body's spelling, and nothing else changes by a byte. */
import * as fc from 'fast-check'
import t from 'tap'
import { BLANK, redact } from '../../../src/audit/capture/redact.ts'
import { parsePointer } from '../../../src/kernel/json-scan.ts'

const redacted = (text: string, ...pointers: string[]): string | null => {
  const shown = redact(Buffer.from(text), pointers.map(parsePointer))
  return shown === null ? null : Buffer.from(shown.bytes).toString()
}

t.test('a place is blanked and all else stays byte for byte', async (t) => {
  const text = '{ "a" : {"ssn":"078-05-1120" , "b":1.50}, "n": 12345678901234567890, "ssn":[1,{"x":2}] }'
  t.equal(redacted(text, '/a/ssn'), text.replace('"078-05-1120"', BLANK))
  t.equal(redacted(text, '/ssn'), text.replace('[1,{"x":2}]', BLANK))
  t.equal(
    redacted(text, '/ssn/1/x', '/a/b'),
    text.replace('1.50', BLANK).replace('{"x":2}', `{"x":${BLANK}}`),
  )
  t.equal(redacted(text, '/none', '/a/ssn/deeper', '/ssn/7'), text)
  t.equal(redacted(' 5 ', ''), ` ${BLANK} `)
})

t.test('a star stands for every member and every item', async (t) => {
  t.equal(redacted('[{"p":1},{"p":2},3]', '/*/p'), `[{"p":${BLANK}},{"p":${BLANK}},3]`)
  t.equal(redacted('{"a":{"x":1},"b":{"x":[]}}', '/*/x'), `{"a":{"x":${BLANK}},"b":{"x":${BLANK}}}`)
  t.equal(redacted('{"*":1,"b":2}', '/*'), `{"*":${BLANK},"b":${BLANK}}`)
})

t.test('no spelling of a key hides its value', async (t) => {
  t.equal(redacted('{"ssn":1,"ssn":2}', '/ssn'), `{"ssn":${BLANK},"ssn":${BLANK}}`, 'repeated')
  t.equal(redacted('{"s\\u0073n":1}', '/ssn'), `{"s\\u0073n":${BLANK}}`, 'escaped')
  t.equal(redacted('{"a/b":{"~":1}}', '/a~1b/~0'), `{"a/b":{"~":${BLANK}}}`)
  t.equal(redacted('{"__proto__":{"x":1}}', '/__proto__/x'), `{"__proto__":{"x":${BLANK}}}`)
  t.equal(redacted('{"":1}', '/'), `{"":${BLANK}}`)
})

t.test('paths within one another cut once, and each is told', async (t) => {
  const shown = redact(Buffer.from('{"a":{"b":1},"c":2}'), ['/a/b', '/a', '/zzz', '/c'].map(parsePointer))
  t.equal(Buffer.from(shown!.bytes).toString(), `{"a":${BLANK},"c":${BLANK}}`)
  t.strictSame(shown!.hits, [1, 3])
})

t.test('what is not JSON cannot be redacted', async (t) => {
  for (const text of ['', '{', '{"a":1}x', 'ssn=1', '{"a":01}', "{'a':1}"])
    t.equal(redacted(text, '/a'), null, text)
  t.equal(redact(Buffer.from([0x22, 0xff, 0x22]), [[]]), null, 'not UTF-8')
})

/** What redaction means, on parsed values. */
function model(value: unknown, paths: readonly (readonly string[])[]): unknown {
  if (paths.some((path) => path.length === 0)) return '[redacted]'
  if (typeof value !== 'object' || value === null) return value
  const through = (key: string) =>
    paths.filter(([token]) => token === '*' || token === key).map((path) => path.slice(1))
  if (Array.isArray(value)) return value.map((item, index) => model(item, through(String(index))))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, model(item, through(key))]))
}

t.test(
  'any document and any paths: parsing what is left is the same as blanking what was parsed',
  async () => {
    const key = fc.constantFrom('a', 'b', 'ssn', '0', '1', '~', '/', '"', '\\', 'ü', '')
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, 1.5, -0, 'text', '"]}', '\\'),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }))
    const paths = fc.array(fc.array(fc.oneof(key, fc.constant('*')), { maxLength: 4 }), { maxLength: 4 })
    fc.assert(
      fc.property(value, paths, fc.constantFrom(0, 2), (document, wanted, indent) => {
        const text = JSON.stringify(document, null, indent)
        const shown = redact(Buffer.from(text), wanted)
        const parsed = JSON.parse(Buffer.from(shown!.bytes).toString())
        const expected = model(JSON.parse(text), wanted)
        return JSON.stringify(parsed) === JSON.stringify(expected)
      }),
      { numRuns: 1000 },
    )
  },
)
