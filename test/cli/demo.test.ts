/**
 * The demo as a whole: a real gateway, a real model server that is killed and slowed down, real data, and a
 * report whose every claim was checked by the demo itself. Whatever way it ends, nothing stays behind.
 */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { paintFor } from '../../src/cli/demo/paint.ts'
import { renderReport } from '../../src/cli/demo/render.ts'
import type { DemoReport } from '../../src/cli/demo/report.ts'
import { nextLines } from '../../src/cli/demo/where-next.ts'
import { demo } from '../../src/cli/demo.ts'
import { eventually } from '../support/eventually.ts'

const ROOT = process.cwd()
const ESCAPE = '\u001b'
const MODELS = join(ROOT, 'models')

async function run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []]
  const stdout = (text: string) => void out.push(text)
  const stderr = (text: string) => void err.push(text)
  const code = await demo(args, { stdout, stderr, color: false })
  return { code, out: out.join(''), err: err.join('') }
}

/** Below those that the system gives to others: nobody takes it between this look and the start of who is to have it. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}

/**
 * The package's own configuration on free ports, with a breaker that tries again soon however often a stalled machine
 * fails its probes, and with patience where a version has no last resort.
 */
async function ownConfiguration(t: Test): Promise<string> {
  const [listen, admin] = [await freePort(), await freePort()]
  const front = readFileSync(join(ROOT, 'gateway.toml'), 'utf8')
    .replace('127.0.0.1:8080', '127.0.0.1:0')
    .replace('127.0.0.1:9090', '127.0.0.1:0')
    .replace('127.0.0.1:8091', `127.0.0.1:${listen}`)
    .replace('window = "5s"', 'window = "1s"')
    .replace('min_requests = 20, failure_rate', 'min_requests = 8, failure_rate')
    .replace('open_for = "1s", open_for_max = "8s"', 'open_for = "200ms", open_for_max = "400ms"')
    .replace(
      'queue = "1s", first_byte = "1s", total = "2s"',
      'queue = "20s", first_byte = "20s", total = "20s"',
    )
    .replace('slow_after = "500ms"', 'slow_after = "20s"')
  const behind = readFileSync(join(ROOT, 'config', 'model-server.toml'), 'utf8')
    .replace('127.0.0.1:8091', `127.0.0.1:${listen}`)
    .replace('127.0.0.1:9091', `127.0.0.1:${admin}`)
  const directory = t.testdir({ 'gateway.toml': front, config: { 'model-server.toml': behind } })
  symlinkSync(MODELS, join(directory, 'models'))
  return join(directory, 'gateway.toml')
}

t.test('the whole demo: a version fails and is slow for real, nobody gets an error', async (t) => {
  const handlers = process.listenerCount('SIGINT')
  const config = await ownConfiguration(t)
  const { code, out, err } = await run(['--config', config, '--json', '--requests', '400', '--rate', '120'])
  t.equal(code, 0, err)
  t.equal(process.listenerCount('SIGINT'), handlers, 'no handler stays behind')
  t.match(err, /process \d+ is killed/, 'what happens is told while it happens')
  t.match(err, /flights\/forest closed → open: .*failed/)
  // On a slow machine a late answer is a timeout, and the breaker says so.
  t.match(err, /A version is slow[\s\S]* closed → open: /)
  t.match(err, /half-open → closed: 3 of 3 probes succeeded/)

  const report = JSON.parse(out) as DemoReport
  const { callers, models, log, requests, spells, example } = report
  t.ok(report.passed)
  t.strictSame(callers.statuses, { 200: requests })
  t.equal(callers.ok + callers.degraded, requests)
  t.equal(sum(models.map((model) => model.requests)), requests)
  // On a slow machine the versions in this process may fail, too; their last resort is no version.
  const replies = report.consequences.filter(({ consequence }) => consequence.startsWith('reply:'))
  t.equal(
    sum(models.flatMap(({ rows }) => rows.map((row) => row.answered))) +
      sum(replies.map(({ requests }) => requests)),
    requests,
  )
  t.equal(log.decisions, requests)
  t.equal(log.sequenced, log.decisions + log.shadows + log.others)
  t.strictSame(
    spells.map(({ name, failed }) => ({ name, failed })),
    [
      { name: 'failing', failed: 0 },
      { name: 'slow', failed: 0 },
    ],
  )
  t.match(example?.decision?.decision.degraded, /^version:(linear|rules)$/)
  readsWell(t, renderReport(report, paintFor(false), nextLines(config, 'ID', { host: 'h', port: 1 })))
})

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)

function readsWell(t: Test, text: string): void {
  const titles = text.split('\n').filter((line) => /^[A-Z]/.test(line))
  t.strictSame(titles, [
    'What callers saw',
    'Model flights',
    'Model digits',
    'What the breakers did',
    'Declared consequences',
    'Shadows',
    'Against the truth',
    'The log',
    'One decision in full',
    'What must hold',
    'Where to look next',
    'All of it held.',
  ])
  t.match(text, / breaker-open +version:(linear|rules) +[1-9]/, 'the consequence and its callers')
  t.match(text, /lost 0$/m)
  t.match(
    text,
    /its breaker was (open \(refusing traffic\)|half-open \(letting probes through\))/,
    'the decision that is explained',
  )
  const [report = ''] = text.split('Where to look next')
  const wide = report.split('\n').filter((line) => line.length > 100 && !line.startsWith('  in   '))
  t.strictSame(wide, [], 'fits 100 columns')
  t.notOk(text.includes(ESCAPE), 'no escape sequence where no terminal is')
}

t.test('what cannot start says why, and what to do', async (t) => {
  const usage = await run(['--requests', 'many'])
  t.equal(usage.code, 2)
  t.match(usage.err, /--requests is a whole number from 1 to 1000000, not 'many'/)
  t.equal((await run(['--serve', '--json'])).code, 2)
  t.equal((await run(['--nonsense'])).code, 2)
  const help = await run(['--help'])
  t.equal(help.code, 0)
  t.match(help.out, /^Usage: modelgate demo/)

  const config = await ownConfiguration(t)
  const port = Number(/127\.0\.0\.1:([1-9]\d*)/.exec(readFileSync(config, 'utf8'))![1])
  const squatter = createServer().listen(port, '127.0.0.1')
  await new Promise((resolve) => squatter.once('listening', resolve))
  const taken = await run(['--config', config])
  await new Promise((resolve) => squatter.close(resolve))
  t.equal(taken.code, 3)
  t.match(
    taken.err,
    new RegExp(`127\\.0\\.0\\.1:${port} is taken by another process; stop it or change server\\.listen`),
  )

  t.match(taken.err, `ss -ltnp '( sport = :${port} or sport = :`, 'and how to find who has it')

  const other = t.testdir({ 'gateway.toml': '[models.m.versions.v1]\nendpoints = ["http://127.0.0.1:1"]\n' })
  const args = [
    '--config',
    join(other, 'gateway.toml'),
    '--model-server',
    join(ROOT, 'config', 'model-server.toml'),
  ]
  const stranger = await run(args)
  t.equal(stranger.code, 3)
  t.match(stranger.err, /no version in .* has its endpoint at 127\.0\.0\.1:8091/)
  const missing = await run(['--config', join(other, 'nowhere.toml')])
  t.equal(missing.code, 3)
})

/** The built command as a process of its own, once its model server and gateway serve. */
async function serving(t: Test) {
  const main = join(ROOT, 'build', 'src', 'main.js')
  const process = spawn('node', [main, 'demo', '--serve', '--config', await ownConfiguration(t)])
  t.teardown(() => process.kill('SIGKILL'))
  const ended = once(process, 'exit')
  let out = ''
  process.stdout.setEncoding('utf8')
  for await (const chunk of process.stdout.iterator({ destroyOnReturn: false })) {
    out += chunk
    if (out.includes('Ctrl-C stops it.')) break
  }
  const modelServer = Number(/served by process (\d+)/.exec(out)?.[1])
  return { process, ended, out, modelServer }
}

function gone(pid: number): Promise<boolean> {
  const isGone = (): boolean => {
    try {
      process.kill(pid, 0)
      return false
    } catch {
      return true
    }
  }
  return eventually(isGone, { withinMs: 30_000, until: `process ${pid} ends` })
}

t.test('--serve: its curl lines work when pasted, and a signal ends both processes in order', async (t) => {
  const { process, ended, out, modelServer } = await serving(t)
  const lines = out.split('\n').filter((line) => line.startsWith('curl '))
  t.equal(lines.length, 3)
  for (const line of lines) {
    const url = /http:\S+/.exec(line)![0]
    const file = / -d @(\S+)/.exec(line)?.[1]
    const body = file === undefined ? / -d '([^']+)'/.exec(line)?.[1] : readFileSync(file, 'utf8')
    const fields = [...line.matchAll(/-H '([\w-]+): ([^']+)'/g)].map(([, name, value]) => [name!, value!])
    const asked = body === undefined ? {} : { method: 'POST', body, headers: Object.fromEntries(fields) }
    const response = await fetch(url, asked)
    t.equal(response.status, 200, url)
    t.match(await response.text(), body === undefined ? /durations/ : /"outputs"/)
  }
  process.kill('SIGTERM')
  t.strictSame(await ended, [0, null])
  t.ok(await gone(modelServer))
})

t.test('killed without a chance to clean up, it leaves no model server behind', async (t) => {
  const { process, ended, modelServer } = await serving(t)
  process.kill('SIGKILL')
  await ended
  t.ok(await gone(modelServer))
})

t.test('when the model server dies, everything ends and says so', async (t) => {
  const { process: child, ended, modelServer } = await serving(t)
  const said: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text))
  process.kill(modelServer, 'SIGKILL')
  t.strictSame(await ended, [1, null])
  t.match(said.join(''), /the model server ended by itself/)
})
