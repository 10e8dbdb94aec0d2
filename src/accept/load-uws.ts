/**
 * The only door to uWebSockets.js. Two builds are installed side by side, because no single one covers
 * the Node versions and C libraries this gateway runs on; the newer one is preferred where it loads.
 *
 * Promises a server module or one problem that tells a person what to do; never a stack trace, and it
 * never throws for a platform that has no build. Nothing else may import either package.
 *
 * The native code reads the limit for header blocks from the environment, once for the whole process,
 * when the first thread loads it. A worker thread's `process.env` is a copy that native code does not
 * see, so the main thread states the limit (`stateHeaderLimit`) before it starts the first lane.
 * test/accept/load-uws.test.ts sends 10 KB of headers to a server in a worker thread to prove it.
 */
import { createRequire } from 'node:module'
import { isMainThread } from 'node:worker_threads'
import { assert } from '../kernel/assert.ts'

export type Uws = typeof import('uWebSockets.js')

export interface LoadedUws {
  readonly kind: 'loaded'
  readonly uws: Uws
  readonly build: string
}

export interface UwsProblem {
  readonly kind: 'problem'
  /** For people: the platform, why nothing loaded, what to do. One line. */
  readonly message: string
  /** What the loader said about each build, one line each. For the log. */
  readonly detail: string
}

/** One published build and what it was made for. */
export interface UwsBuild {
  readonly build: string
  readonly nodeMajors: readonly number[]
  /** Oldest glibc the binary links against, as [major, minor]. */
  readonly glibc: readonly [number, number]
  readonly load: () => Promise<unknown>
}

export interface Platform {
  readonly os: string
  readonly arch: string
  /** With the v: `v22.23.3`. */
  readonly node: string
  /** `2.36`; empty where the C library is another one (musl, macOS, Windows). */
  readonly glibc: string
}

/** In order of preference. */
export const UWS_BUILDS: readonly UwsBuild[] = [
  {
    build: '20.69.0',
    nodeMajors: [22, 24, 26],
    glibc: [2, 38],
    // An optional dependency: absent after an install with --omit=optional.
    load: () => loadInstalled('uWebSockets.js-next', '20.69.0', () => import('uWebSockets.js-next')),
  },
  {
    build: '20.51.4',
    nodeMajors: [18, 20, 22, 23],
    glibc: [2, 27],
    load: () => loadInstalled('uWebSockets.js', '20.51.4', () => import('uWebSockets.js')),
  },
]

const HEADER_LIMIT = 'UWS_HTTP_MAX_HEADERS_SIZE'

/**
 * The server itself ends a connection whose header block is over its limit, without a trace we could
 * record. Its limit is this much above ours, so that what is a little too large is refused by us.
 */
export const HEADER_SLACK_BYTES = 8192

/**
 * Main thread only, before any thread loads the server: the largest header block in bytes that every
 * server of this process accepts. Later calls do not change servers that exist.
 */
export function stateHeaderLimit(headerBytesMax: number): void {
  assert(isMainThread, 'the header limit is stated by the main thread, before it starts a lane')
  process.env[HEADER_LIMIT] = String(headerBytesMax)
}

/** `headerBytesMax` must be what the main thread stated; in the main thread it is stated here. */
export async function loadUws(
  headerBytesMax: number,
  builds: readonly UwsBuild[] = UWS_BUILDS,
  platform: () => Platform = currentPlatform,
): Promise<LoadedUws | UwsProblem> {
  if (isMainThread) stateHeaderLimit(headerBytesMax)
  // A thread inherits the copy made when it was started, so a missing or different value means that
  // the server would silently enforce some other limit than the configured one.
  assert(process.env[HEADER_LIMIT] === String(headerBytesMax), 'stateHeaderLimit() before starting a lane')

  const failures: string[] = []
  for (const { build, load } of builds) {
    try {
      return { kind: 'loaded', uws: (await load()) as Uws, build }
    } catch (error) {
      failures.push(`${build}: ${oneLine(error)}`)
    }
  }
  return { kind: 'problem', message: explainFailure(platform(), builds), detail: failures.join('\n') }
}

/**
 * The binary is a package of its own for each platform and major of Node, found by walking up from the
 * build that asks for it. Where the newer build has none, that walk finds the older build's (Node 20),
 * and the newer one would load with it and be neither. So the two versions must agree.
 */
async function loadInstalled(name: string, build: string, load: () => Promise<unknown>): Promise<unknown> {
  const requireBeside = createRequire(import.meta.resolve(name))
  const binary = `@uwsjs/${process.platform}-${process.arch}-${process.versions.node.split('.')[0]}`
  const { version } = requireBeside(`${binary}/package.json`) as { version: string }
  if (version !== build) throw new Error(`${binary} is installed as ${version} and not as ${build}`)
  return load()
}

/** Says why no build fits this platform, or, when one should have fitted, that it is not installed. */
export function explainFailure(platform: Platform, builds: readonly UwsBuild[]): string {
  const { os, arch, node, glibc } = platform
  const library = glibc === '' ? (os === 'linux' ? ', no glibc' : '') : `, glibc ${glibc}`
  const where = `No build of the HTTP server (uWebSockets.js) loads here: ${os} ${arch}, Node ${node}${library}.`
  const made = builds.map(describe).join('; ')

  if (os === 'linux' && glibc === '') {
    return `${where} Its builds need glibc (Debian, Ubuntu, Fedora and their images; not Alpine): ${made}.`
  }
  const major = Number.parseInt(node.slice(1), 10)
  const forNode = builds.filter((build) => build.nodeMajors.includes(major))
  if (forNode.length === 0) return `${where} Use another Node version: ${made}; then run npm ci again.`
  if (!forNode.some((build) => isAtLeast(glibc, build.glibc))) {
    return `${where} Use a Linux with a newer glibc or another Node version: ${made}; then run npm ci again.`
  }
  return `${where} A build for it exists but is not installed or broken: run npm ci again with this Node version, without --omit=optional.`
}

function describe(build: UwsBuild): string {
  return `${build.build} is for Node ${build.nodeMajors.join(', ')} with glibc ${build.glibc.join('.')} or newer`
}

/** Where there is no glibc at all (macOS, Windows) nothing is required of it. */
function isAtLeast(glibc: string, [wantedMajor, wantedMinor]: readonly [number, number]): boolean {
  if (glibc === '') return true
  const [major = 0, minor = 0] = glibc.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/** The package wraps the loader's own error in two lines of advice about other Node versions. */
function oneLine(error: unknown): string {
  const lines = String(error instanceof Error ? error.message : error).split('\n')
  const said = lines.filter((line) => line.trim() !== '' && !line.startsWith('This version of uWS.js'))
  return (said[0] ?? lines[0] ?? '').trim()
}

function currentPlatform(): Platform {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return {
    os: process.platform,
    arch: process.arch,
    node: process.version,
    glibc: report.header?.glibcVersionRuntime ?? '',
  }
}
