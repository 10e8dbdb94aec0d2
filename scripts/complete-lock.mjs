/**
 * Completes package-lock.json, so that `npm ci` accepts it on every platform and from every registry.
 *
 *   node scripts/complete-lock.mjs           adds what is missing (run it after every npm install)
 *   node scripts/complete-lock.mjs --check   changes nothing; exit 1 and a list when something is missing
 *
 * Why: native packages come as one optional package per platform. A registry mirror may not serve the
 * ones of other platforms, npm then leaves them out of the lock file, and npm 11 and newer refuse that
 * file wherever the registry does know them ("Missing … from lock file", npm/cli#4828 and #8320).
 *
 * It never asks the network: the name of such a package says its platform. It therefore cannot know
 * hashes; entries without one are possible for foreign platforms only, and the check proves that. It
 * never writes `resolved`: a lock file must not send its reader to the mirror of whoever wrote it.
 *
 * Plain JavaScript without dependencies, because it has to work before `npm ci` did.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const OPERATING_SYSTEMS = new Set(
  'aix android darwin freebsd linux netbsd openbsd openharmony sunos win32'.split(' '),
)
const PROCESSORS = new Set('arm arm64 ia32 loong64 mips64el ppc64 riscv64 s390x wasm32 x64'.split(' '))

/** What a name does not say, by scope or prefix. */
const MORE = [
  {
    // One package per major of Node: @uwsjs/linux-x64-24. Without the range npm would install them all.
    name: /^@uwsjs\/(\w+)-\w+-(\d+)$/,
    fields: ([, system, major]) => ({
      ...(system === 'linux' ? { libc: ['glibc'] } : {}),
      engines: { node: `>=${major}.0.0 <${Number(major) + 1}.0.0` },
    }),
  },
]

/** Where the hashes must be complete: the platform of the container image and of CI. */
const HASHED = { os: 'linux', cpu: 'x64', libc: 'glibc' }

const file = 'package-lock.json'
const checkOnly = process.argv.includes('--check')
const lock = JSON.parse(readFileSync(file, 'utf8'))
const { additions, unclear } = completionOf(lock.packages)

if (checkOnly) {
  const problems = [
    ...Object.entries(additions).map(([key, entry]) => `missing: ${key} ${entry.version}`),
    ...unclear,
    ...impurities(lock.packages),
  ]
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) {
    console.error(`${file} is not complete: run node scripts/complete-lock.mjs and commit the result`)
    process.exit(1)
  }
  console.log(`${file} is complete (${Object.keys(lock.packages).length - 1} packages)`)
} else {
  const entries = Object.entries({ ...lock.packages, ...additions })
  for (const [, entry] of entries) if (namesRegistry(entry)) delete entry.resolved
  // The order npm itself writes, so that its next write does not move lines.
  entries.sort(([a], [b]) => a.localeCompare(b, 'en'))
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(entries) }, null, 2)}\n`)
  for (const problem of unclear) console.error(problem)
  console.log(`${Object.keys(additions).length} entries added to ${file}`)
  if (unclear.length > 0) process.exit(1)
}

/** Entries for every optional dependency that no entry of the lock file answers. */
function completionOf(packages) {
  const additions = {}
  const unclear = []
  for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (isResolved({ ...packages, ...additions }, parent, name, version)) continue
      const entry = entryFor(name, version, dev === true)
      if (entry === null) unclear.push(`unclear: ${name} ${version}, wanted by ${parent || 'the project'}`)
      else additions[keyFor({ ...packages, ...additions }, parent, name)] = entry
    }
  }
  return { additions, unclear }
}

/** Node's own search: the nearest node_modules upwards from the parent that holds the name. */
function isResolved(packages, parent, name, version) {
  for (const folder of foldersUpwards(parent)) {
    const found = packages[`${folder}node_modules/${name}`]
    if (found !== undefined) return !isExact(version) || found.version === version
  }
  return false
}

function* foldersUpwards(parent) {
  let folder = parent
  while (folder !== '') {
    yield `${folder}/`
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))
  }
  yield ''
}

/** At the top, unless another version of the same name already lives there. */
function keyFor(packages, parent, name) {
  const top = `node_modules/${name}`
  return packages[top] === undefined ? top : `${parent}/${top}`
}

/** Fields in the order npm writes them; null when the name or the version leaves something open. */
function entryFor(name, version, isDev) {
  const platform = platformOf(name)
  if (platform === null || !isExact(version)) return null
  const { os, cpu, libc, engines } = platform
  return {
    version,
    ...(cpu ? { cpu } : {}),
    ...(isDev ? { dev: true } : {}),
    ...(libc ? { libc } : {}),
    optional: true,
    os,
    ...(engines ? { engines } : {}),
  }
}

function platformOf(name) {
  const words = name.split(/[/-]/)
  const system = words.find((word) => OPERATING_SYSTEMS.has(word))
  if (system === undefined) return null
  const processor = words.find((word) => PROCESSORS.has(word))
  const library = words.includes('musl') ? 'musl' : words.includes('gnu') ? 'glibc' : undefined
  const rule = MORE.find(({ name: pattern }) => pattern.test(name))
  return {
    os: [system],
    ...(processor ? { cpu: [processor] } : {}),
    ...(library ? { libc: [library] } : {}),
    ...rule?.fields(rule.name.exec(name)),
  }
}

function isExact(version) {
  return /^\d+\.\d+\.\d+/.test(version)
}

/** What must never be in the file, whoever wrote it. */
function impurities(packages) {
  const found = []
  for (const [key, entry] of Object.entries(packages)) {
    if (namesRegistry(entry)) found.push(`names a registry: ${key}`)
    if (key !== '' && entry.integrity === undefined && !isForeign(entry))
      found.push(`no hash (install it again): ${key}`)
  }
  return found
}

/** Links and local folders are resolved too, by a path; those stay. */
function namesRegistry(entry) {
  return /^https?:/.test(entry.resolved ?? '')
}

function isForeign(entry) {
  if (entry.optional !== true) return false
  return Object.entries(HASHED).some(([field, ours]) => {
    const theirs = entry[field] === undefined ? [ours] : [entry[field]].flat()
    return !theirs.includes(ours)
  })
}
