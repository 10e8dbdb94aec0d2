import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { explainFailure, loadUws, type Platform, UWS_BUILDS } from '../../src/accept/load-uws.ts'

const HEADER_BYTES_MAX = 16_384
const linux: Platform = { os: 'linux', arch: 'x64', node: 'v22.23.3', glibc: '2.36' }

const works = (build: string, uws: unknown) => ({
  build,
  nodeMajors: [22],
  glibc: [2, 27] as const,
  load: async () => uws,
})
const breaks = (build: string, words: string) => ({
  build,
  nodeMajors: [22],
  glibc: [2, 38] as const,
  load: async () => {
    throw new Error(words)
  },
})

t.test('the newer build is taken where it loads, and the older one is then not touched', async (t) => {
  const untouchable = breaks('older', 'must not be loaded')
  const loaded = await loadUws(HEADER_BYTES_MAX, [works('newer', { App: 1 }), untouchable], () => linux)
  t.strictSame(loaded, { kind: 'loaded', uws: { App: 1 }, build: 'newer' })
})

t.test('the older build is taken where the newer one cannot load', async (t) => {
  const loaded = await loadUws(
    HEADER_BYTES_MAX,
    [breaks('newer', 'GLIBC_2.38 not found'), works('older', { App: 2 })],
    () => linux,
  )
  t.strictSame(loaded, { kind: 'loaded', uws: { App: 2 }, build: 'older' })
})

t.test(
  'where neither loads, one line names the platform and the loader’s words stay in the detail',
  async (t) => {
    const wrapped =
      'This version of uWS.js (v20.51.0) supports only Node.js 18.\n\nError: Cannot find module x\nat y'
    const problem = await loadUws(
      HEADER_BYTES_MAX,
      [breaks('b1', wrapped), breaks('b2', 'boom')],
      () => linux,
    )
    if (problem.kind !== 'problem') throw new Error('something loaded')
    t.equal(problem.detail, 'b1: Error: Cannot find module x\nb2: boom')
    t.match(problem.message, /linux x64, Node v22\.23\.3, glibc 2\.36/)
    t.notMatch(problem.message, /\n/)
  },
)

t.test('the advice fits the platform', async (t) => {
  const cases: [Partial<Platform>, RegExp][] = [
    [{ node: 'v25.1.0' }, /Use another Node version: .* 22, 24, 26 .* 18, 20, 22, 23/],
    [{ node: 'v24.1.0' }, /newer glibc or another Node version/],
    [{ node: 'v24.1.0', glibc: '2.41' }, /not installed or broken: run npm ci again/],
    [{ node: 'v20.20.2' }, /not installed or broken: run npm ci again/],
    [{ node: 'v20.20.2', glibc: '2.17' }, /newer glibc/],
    [{ glibc: '' }, /no glibc\. Its builds need glibc .* not Alpine/],
    [{ os: 'darwin', arch: 'arm64', node: 'v24.1.0', glibc: '' }, /darwin arm64, Node v24\.1\.0\. A build/],
  ]
  for (const [platform, words] of cases) {
    t.match(explainFailure({ ...linux, ...platform }, UWS_BUILDS), words, JSON.stringify(platform))
  }
})

t.test('the builds on the list are the builds that package.json pins', async (t) => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
  const pinned = [
    manifest.optionalDependencies['uWebSockets.js-next'],
    manifest.dependencies['uWebSockets.js'],
  ]
  t.strictSame(
    UWS_BUILDS.map((build) => `npm:@uwsjs/core@${build.build}`),
    pinned,
  )
})

t.test(
  'a server in a worker thread takes 10 KB of headers, and refuses more than the stated limit',
  async (t) => {
    const loaded = await loadUws(HEADER_BYTES_MAX)
    if (loaded.kind === 'problem') throw new Error(loaded.message)
    const found = UWS_BUILDS.find(({ build }) => build === loaded.build)
    t.ok(
      found?.nodeMajors.includes(Number.parseInt(process.versions.node, 10)),
      'the build that loaded is made for this Node: no build runs on the binary of the other',
    )

    const thread = new Worker(new URL('../support/header-limit-thread.js', import.meta.url), {
      workerData: { headerBytesMax: HEADER_BYTES_MAX },
    })
    const [{ build, port }] = await once(thread, 'message')
    t.equal(build, loaded.build)
    t.match(await ask(port, 10_000), /^HTTP\/1\.1 200 OK\r\n[\s\S]*10000$/)
    t.match(await ask(port, 20_000), /^HTTP\/1\.1 431 /)
    thread.postMessage('end')
    await once(thread, 'exit')
  },
)

t.test('a thread that was started without the stated limit is a bug, not a smaller limit', async (t) => {
  const thread = new Worker(new URL('../support/header-limit-thread.js', import.meta.url), {
    workerData: { headerBytesMax: HEADER_BYTES_MAX + 1 },
  })
  const [error] = await once(thread, 'error')
  t.match(String(error), /broken invariant: stateHeaderLimit/)
})

/** Everything the server sends to one request with an `x-big` header of that length. */
async function ask(port: number, bytes: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  // A refusal closes with our bytes unread, which the kernel may turn into a reset after the answer.
  socket.on('error', () => {})
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
    if (answer.includes('\r\n\r\n')) socket.end()
  })
  socket.write(`GET / HTTP/1.1\r\nHost: a\r\nx-big: ${'a'.repeat(bytes)}\r\n\r\n`)
  await new Promise((resolve) => socket.once('close', resolve))
  return answer
}
