/** `modelgate audit report`: on a log as the gateway writes it, in every form, and what it says to wrong questions. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { inboxOf } from '../../../src/audit/paths.ts'
import { report } from '../../../src/cli/audit/report.ts'
import { openBenchLog } from '../../audit/bench-log.ts'
import { newFolder } from '../../audit/new-folder.ts'
import { sampleDecision, sampleInputs } from '../../audit/samples.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const NOON = Date.parse('2026-11-09T12:00:00Z')
const NOW = Date.parse('2026-11-10T00:00:00Z')

interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function run(...args: string[]): Promise<Said> {
  let [out, err] = ['', '']
  const io = {
    stdout: (text: string) => {
      out += text
    },
    stderr: (text: string) => {
      err += text
    },
    color: false,
    columns: 90,
  }
  return { code: await report(args, io, new ManualClock(1000, NOW)), out, err }
}

/** 40 requests to fraud, ten of them degraded, by callers with a hostile name for a version among them. */
function logOnDisk(): string {
  const log = openBenchLog()
  const [lane] = log.lanes
  for (let index = 0; index < 40; index += 1) {
    const isDegraded = index % 4 === 0
    const decision = sampleDecision({
      receivedAt: NOON + index * 1000,
      served: isDegraded ? 'v1' : 'v2',
      degraded: isDegraded ? 'version:v1' : '',
      reason: isDegraded ? 'fallback' : 'canary',
      fault: isDegraded ? { code: 'breaker-open', message: '', detail: '' } : null,
      client: { address: `10.0.0.${index % 5}`, userAgent: '\u001b[31m</script>' },
    })
    lane!.decision(decision, sampleInputs, () => {})
  }
  lane!.note('breaker', {
    ...{ at: NOON + 5000, model: 'fraud', version: 'v2', from: 'closed', to: 'open', enforced: true },
    cause: 'bad\u001b[2J\nnews',
  })
  log.lanes[0]!.close()
  log.writer.finish()
  return log.dataDir
}

t.test('a report of a log on disk', async (t) => {
  const data = logOnDisk()
  const asked = ['--data', data, '--model', 'fraud', '--from', '2026-11-09', '--to', 'now']

  t.test('as text within the width, with nothing that moves a cursor', async (t) => {
    const { code, out, err } = await run(...asked)
    t.equal(code, 0)
    t.equal(err, '')
    t.match(out, /^Model fraud, 2026-11-09 00:00 to 2026-11-10 00:00 UTC\n/)
    t.match(out, /40 requests: 30 \(75 %\) answered by the version that was meant to, 10 \(25 %\) by a/)
    t.match(out, /touched 10 requests of 5 callers/)
    t.match(out, /bad\\u001b\[2J\\nnews/)
    t.notMatch(out, /(?!\n)\p{Cc}/u)
    const tooLong = out.split('\n').filter((line) => line.length > 90 && !/^Times|^signed by/.test(line))
    t.strictSame(tooLong, [])
  })

  t.test('as data, the same as with --json', async (t) => {
    const { code, out } = await run(...asked, '--format', 'json')
    t.equal(code, 0)
    const data = JSON.parse(out)
    t.match(data, {
      format: 'modelgate-audit-report/1',
      model: 'fraud',
      range: { from: '2026-11-09T00:00:00.000Z', to: '2026-11-10T00:00:00.000Z' },
      glance: { requests: 40, answered: 30, degraded: 10, failed: 0 },
      actions: { touched: { requests: 10, callers: 5 } },
    })
    t.match(data.evidence.sequences, { records: 41 })
    t.equal((await run(...asked, '--json')).out, out)
  })

  t.test('as a page in a file', async (t) => {
    const file = join(newFolder(), 'report.html')
    const { code, out, err } = await run(...asked, '--format', 'html', '--out', file)
    t.equal(code, 0)
    t.equal(out, '')
    t.match(err, /written to /)
    const again = await run(...asked, '--out', file)
    t.equal(again.code, 3)
    t.match(again.err, /it is there already/)
    t.match(readFileSync(file, 'utf8'), /^<!doctype html>[\s\S]*Model fraud[\s\S]*<\/html>\n$/)
  })

  t.test('who asked is left for the log', async (t) => {
    const [name] = readdirSync(inboxOf(data))
    const left = JSON.parse(readFileSync(join(inboxOf(data), name!), 'utf8'))
    t.match(JSON.stringify(left), /audit report.*model fraud, 2026-11-09T00:00:00\.000Z to/)
  })

  t.test('a range without requests says so, and where there are some', async (t) => {
    const { code, out } = await run('--data', data, '--model', 'fraud', '--from', '-2w', '--to', '-1w')
    t.equal(code, 0)
    t.match(out, /no request to this model in this range/)
    t.match(out, /40 requests of this model in all, from 2026-11-09 12:00 to 2026-11-09 12:00:39/)
  })

  t.test('an unknown model is answered with the nearest', async (t) => {
    const { code, out, err } = await run('--data', data, '--model', 'fruad')
    t.equal(code, 1)
    t.equal(out, '')
    t.match(err, /knows no model 'fruad'; did you mean 'fraud'\? It knows fraud\./)
  })

  t.test('a file that cannot be written is told', async (t) => {
    const { code, err } = await run(...asked, '--out', join(data, 'nowhere', 'report.txt'))
    t.equal(code, 3)
    t.match(err, /cannot be written: ENOENT/)
  })
})

t.test('an empty log knows no model', async (t) => {
  const log = openBenchLog()
  log.lanes[0]!.close()
  log.writer.finish()
  const { code, err } = await run('--data', log.dataDir, '--model', 'fraud')
  t.equal(code, 1)
  t.match(err, /It knows none/)
})

t.test('wrong questions are told what was expected', async (t) => {
  const data = newFolder()
  const wrong: readonly (readonly [args: string[], words: RegExp])[] = [
    [[], /--model is needed/],
    [['--model', 'm', '--from', '2026-02-30'], /--from '2026-02-30' is no moment; expected one like/],
    [['--model', 'm', '--to', 'tomorrow'], /--to 'tomorrow' is no moment/],
    [['--model', 'm', '--from', '2026-11-09', '--to', '2026-11-09'], /is not before --to/],
    [['--model', 'm', '--format', 'pdf'], /none of text, html, json/],
    [['--model', 'm', '--what'], /--what/],
  ]
  for (const [args, words] of wrong) {
    const { code, err } = await run('--data', data, ...args)
    t.equal(code, 2, args.join(' '))
    t.match(err, words)
  }
  t.equal((await run('--data', join(data, 'none'), '--model', 'm')).code, 3)
  const help = await run('--help')
  t.equal(help.code, 0)
  t.match(help.out, /^Usage: modelgate audit report --model NAME/)
})
