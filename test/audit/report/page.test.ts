/** The report as a page: whatever strings the log holds, it is one page without script, network or surprise. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { factsOf } from '../../../src/audit/report/ask.ts'
import { reportOf } from '../../../src/audit/report/build-report.ts'
import { escaped } from '../../../src/audit/report/html/escape.ts'
import { pageOf } from '../../../src/audit/report/html/page.ts'
import { scaleOf, timeTicks } from '../../../src/audit/report/html/scale.ts'
import type { Report } from '../../../src/audit/report/report.ts'
import { sectionsOf } from '../../../src/audit/report/sections.ts'
import { LogTables } from './log-tables.ts'

const HOSTILE = [
  '</script><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='alert(1)",
  '</title></style><svg/onload=alert(1)>',
  '\u0000\u0007\u001b[31m\u202eevil\u2066\u2028',
  '&lt;b&gt; `$(x)`',
  '\ud800',
]
const RANGE = { from: Date.parse('2026-11-09T00:00Z'), to: Date.parse('2026-11-10T00:00Z') }

async function hostileReport(words: string): Promise<Report> {
  const log = await LogTables.open()
  try {
    const block = { from: '2026-11-09 00:00:00', to: '2026-11-10 00:00:00', model: words }
    await log.requests({ ...block, requests: 100, version: words, profit: 1 })
    const trouble = { outcome: words, degraded: `version:${words}` }
    await log.requests({ ...block, requests: 50, version: 'v1', meant: words, ...trouble })
    const at = '2026-11-09 12:00:00'
    const of = { model: words, version: words, cause: words }
    await log.event('config', at, { hash: words, generation: 1, file: words })
    await log.event('approval', at, { by: words, words, change: words, result: words, base: words })
    await log.event('breaker', at, { ...of, to: 'open' })
    await log.event('endpoint', at, { ...of, out: true, endpoint: words })
    await log.event('rollout', at, { ...of, step: words, by: words, percent: 1 })
    await log.event('gap', at, { records: 1, cause: words })
    await log.event('note', at, { by: words, words })
    const facts = await factsOf(log, { model: words, range: RANGE, askedAt: RANGE.to })
    const evidence = { origin: words, checkpoint: null, problem: words, sequences: null, isCovered: false }
    return reportOf(facts, { ...evidence, proofs: [{ sequence: 1, lines: [words] }], commands: [words] })
  } finally {
    log.close()
  }
}

/** What is left when everything is gone that the page itself may have. */
function unexpectedMarkup(page: string): string[] {
  const tags = page.replace(/<!doctype html>/, '').match(/<[^>]*>?/g) ?? []
  const own =
    /^<\/?(html|head|meta|title|style|body|header|h1|h2|p|nav|ul|li|a|main|section|span|div|table|caption|thead|tbody|tr|th|td|figure|figcaption|svg|desc|path|rect|circle|text|details|summary|pre|code)( (lang|charset|http-equiv|content|name|id|href|class|role|tabindex|scope|viewBox|d|x|y|cx|cy|r|width|height|text-anchor|dominant-baseline|aria-[a-z]+)="[^"<>]*")*\/?>$/
  return tags.filter((tag) => !own.test(tag))
}

t.test('hostile strings of the log stay text', async (t) => {
  const seen: Report[] = []
  for (const [index, words] of HOSTILE.entries()) {
    const report = await hostileReport(words)
    const page = pageOf(report, sectionsOf(report, words))
    t.strictSame(unexpectedMarkup(page), [], `string ${index}`)
    t.notMatch(page, /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u, 'nothing invisible')
    t.ok(page.includes(escaped(words)), 'and yet it is to be read')
    seen.push(report)
  }
  const [first] = seen
  t.equal(first!.glance.requests, 150, 'it was really a report of that model')
  t.equal(first!.traffic.versions.length, 2)
  t.equal(first!.actions.breakers.length, 1)
})

t.test('any string at all is escaped so that it can be read back', (t) => {
  const entities = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&#96;': '`' }
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-ascii' }), (text) => {
      const safe = escaped(text)
      const back = safe.replace(
        /&(?:amp|lt|gt|quot|#39|#96);/g,
        (entity) => entities[entity as keyof typeof entities],
      )
      return back === text && !/[<>"'`]/.test(safe)
    }),
  )
  t.end()
})

t.test('its policy allows its own style and nothing else', async (t) => {
  const report = await hostileReport('fraud')
  const page = pageOf(report, sectionsOf(report, null))
  const style = /<style>([\s\S]*?)<\/style>/.exec(page)![1]!
  const hash = createHash('sha256').update(style, 'utf8').digest('base64')
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)![1]
  t.equal(policy, `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`)
  t.notMatch(page, /\bstyle=|<script|https?:|url\(|@import/)
  t.ok(page.indexOf('Content-Security-Policy') < page.indexOf('<style>'))
})

t.test('every chart has a title, a description and a table behind it', async (t) => {
  const report = await hostileReport('fraud')
  const page = pageOf(report, sectionsOf(report, null))
  const figures = page.match(/<figure>[\s\S]*?<\/figure>/g)!
  t.ok(figures.length >= 5)
  for (const figure of figures) {
    const [, title, text] = /aria-labelledby="(\S+) (\S+)"/.exec(figure)!
    t.match(figure, new RegExp(`<title id="${title}">[^<]+</title>`))
    t.match(figure, new RegExp(`<desc id="${text}">[^<]+</desc>`))
    t.match(figure, /<details>.*<th scope="row">2026-11-09 00:00<\/th>/s)
    t.notMatch(figure, /NaN|Infinity|undefined/)
  }
  const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
  t.equal(new Set(ids).size, ids.length, 'no id is there twice')
})

t.test('an empty report is a page, too', async (t) => {
  const log = await LogTables.open()
  t.teardown(() => log.close())
  const facts = await factsOf(log, { model: 'fraud', range: RANGE, askedAt: RANGE.to })
  const evidence = {
    origin: '',
    checkpoint: null,
    problem: '',
    sequences: null,
    isCovered: false,
    proofs: [],
  }
  const report = reportOf(facts, { ...evidence, commands: [] })
  const page = pageOf(report, sectionsOf(report, 'It has 3 requests of this model in all.'))
  t.match(page, /has no request to this model in this range/)
  t.match(page, /It has 3 requests/)
  t.notMatch(page, /NaN|Infinity|undefined/)
})

t.test('scales begin at zero or below, end above the most, and have few steps', (t) => {
  fc.assert(
    fc.property(
      fc.double({ min: -1e9, max: 0, noNaN: true }),
      fc.double({ min: 0, max: 1e12, noNaN: true }),
      (least, most) => {
        const { from, to, ticks } = scaleOf(least, most)
        const slack = 1e-9 * (most - least) + 1e-9
        return (
          from <= least + slack && to >= most - slack && to > from && ticks.includes(0) && ticks.length <= 8
        )
      },
    ),
  )
  t.strictSame(scaleOf(0, 2201).ticks, [0, 1000, 2000, 3000])
  t.strictSame(scaleOf(0, 0).ticks.at(0), 0)
  t.end()
})

t.test('times below a chart are few and in UTC', (t) => {
  const week = timeTicks({ from: Date.parse('2026-11-09T00:00Z'), to: Date.parse('2026-11-16T00:00Z') })
  t.strictSame([week.length, week[0]!.label, week[7]!.label], [8, 'Mon 09 Nov', 'Mon 16 Nov'])
  const hours = timeTicks({ from: Date.parse('2026-11-09T23:10Z'), to: Date.parse('2026-11-10T01:10Z') })
  t.strictSame(
    hours.map(({ label }) => label),
    ['23:15', '23:30', '23:45', 'Tue 10 Nov', '00:15', '00:30', '00:45', '01:00'],
  )
  t.ok(timeTicks({ from: 0, to: 20 * 365 * 86_400_000 }).length <= 25)
  t.end()
})
