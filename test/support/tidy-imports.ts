/**
 * Who may import whom: the table of DESIGN, with the reason that is printed when it is broken. The
 * longest matching path of LAYERS rules a file; what is not granted there is forbidden.
 */
import { type Import, type Source, type Violation, violation } from './tidy-tree.ts'

export interface Layer {
  /** A folder (with a slash at its end) or a file. */
  readonly path: string
  /** Folders or files it may import; its own folder is always granted. */
  readonly may: readonly string[]
  /** Of these only types: values are handed in by those who compose. */
  readonly types?: readonly string[]
  /** No package and no `node:` module either, but the pure ones: time, chance and data are arguments. */
  readonly isDeterministic?: boolean
  readonly why: string
}

const STAGES = ['accept/', 'identify/', 'callers/', 'decide/', 'forward/', 'score/', 'observe/', 'record/']
const ALPHABET = ['kernel/', 'domain/']
const PROTOCOL = ['protocols/protocol.ts']

/** Their functions see nothing but their arguments. */
const PURE_MODULES = ['node:buffer']

const DECIDING = 'what decides is deterministic: it sees the alphabet, the nouns and the dialect’s contract'
const STAGE =
  'a stage knows no other stage: only pipeline.ts knows the order; pass the value on as an argument'
const WIRING = 'only compose.ts, lane.ts, pipeline.ts and the commands introduce parts to each other'

/** Paths without `src/`. */
export const LAYERS: readonly Layer[] = [
  { path: 'kernel/', may: [], why: 'kernel is the alphabet: it imports nothing from src' },
  { path: 'domain/', may: ['kernel/'], why: 'the nouns know nobody: everybody builds on them' },

  { path: 'accept/', may: ALPHABET, why: STAGE },
  { path: 'identify/', may: ALPHABET, types: PROTOCOL, isDeterministic: true, why: DECIDING },
  { path: 'callers/', may: ALPHABET, why: STAGE },
  { path: 'decide/', may: ALPHABET, types: PROTOCOL, isDeterministic: true, why: DECIDING },
  { path: 'forward/', may: ALPHABET, types: PROTOCOL, why: STAGE },
  { path: 'forward/http1/', may: ALPHABET, isDeterministic: true, why: 'the codec is bytes in, values out' },
  {
    path: 'score/',
    may: [...ALPHABET, 'workers/', 'protocols/'],
    why: `${STAGE}; score/ is the lane’s side of workers/, and local versions answer in tensors`,
  },
  { path: 'observe/', may: ALPHABET, why: STAGE },
  { path: 'record/', may: ALPHABET, types: ['audit/'], why: `${STAGE}; the journal is handed to record/` },
  { path: 'protocols/', may: ALPHABET, isDeterministic: true, why: DECIDING },

  {
    path: 'workers/',
    may: [...ALPHABET, 'protocols/', 'analysis/'],
    why: 'a task runs on a thread of its own and knows only what is deterministic',
  },
  { path: 'audit/', may: ALPHABET, why: 'the log stands alone: it is read beside a gateway and without one' },
  {
    path: 'audit/report/',
    may: [...ALPHABET, 'audit/', 'analysis/'],
    why: 'a report asks the log, and says how sure its numbers are',
  },
  {
    path: 'analysis/',
    may: [...ALPHABET, 'protocols/'],
    isDeterministic: true,
    why: 'pairs in, statistics out',
  },

  {
    path: 'control/',
    may: [...ALPHABET, 'control/', 'audit/', 'analysis/'],
    types: [
      'observe/',
      'protocols/',
      'lane-messages.ts',
      'entrance-messages.ts',
      'forward/balance/endpoint-board.ts',
    ],
    why: 'the control plane reaches the data plane by swapping a snapshot, and sees it by a read-only view',
  },
  {
    path: 'control/config/',
    may: [
      ...ALPHABET,
      'protocols/index.ts',
      'decide/strategies/index.ts',
      'forward/balance/index.ts',
      'workers/runtimes/index.ts',
    ],
    why: 'of the data plane the configuration knows the registries alone, to check names and options',
  },

  { path: 'pipeline.ts', may: [...ALPHABET, ...STAGES, 'protocols/', 'passage/'], why: WIRING },
  { path: 'passage/', may: [...ALPHABET, ...STAGES, 'protocols/'], why: WIRING },
  {
    path: 'lane.ts',
    may: [
      ...ALPHABET,
      ...STAGES,
      'protocols/',
      'workers/',
      'audit/',
      'passage/',
      'pipeline.ts',
      'lifecycle.ts',
      'lane-messages.ts',
    ],
    why: `${WIRING}; a lane knows nothing of the control plane`,
  },
  {
    path: 'lane-messages.ts',
    may: ALPHABET,
    types: ['audit/', 'observe/', 'callers/'],
    why: 'what threads say to each other is plain data',
  },
  {
    path: 'entrance.ts',
    may: [...ALPHABET, 'accept/', 'entrance-messages.ts'],
    why: 'the thread that listens knows the way in and nothing behind it',
  },
  { path: 'entrance-messages.ts', may: ALPHABET, why: 'what threads say to each other is plain data' },
  {
    path: 'lifecycle.ts',
    may: ALPHABET,
    types: ['audit/', 'control/'],
    why: 'the order of starting and stopping is handed the parts that compose.ts made',
  },
  { path: 'compose.ts', may: [''], why: WIRING },
  {
    path: 'cli/',
    may: [...ALPHABET, 'compose.ts', 'lifecycle.ts', 'control/', 'audit/', 'analysis/', 'protocols/index.ts'],
    why: 'a command uses the planes by their doors: compose.ts, the configuration and the log',
  },
  { path: 'main.ts', may: ['cli/'], why: 'main hands argv to cli/ and does nothing else' },
]

export function checkLayers(sources: readonly Source[], layers = LAYERS): Violation[] {
  const violations: Violation[] = []
  for (const source of sources) {
    const file = source.path.slice('src/'.length)
    const layer = layerOf(file, layers)
    if (layer === undefined) {
      violations.push(violation(source.path, 1, 'no law for this place: add it to LAYERS, with its reason'))
      continue
    }
    for (const { to, isLocal, isType, isStart, line } of source.imports) {
      if (isStart) continue
      if (!isLocal) {
        if (layer.isDeterministic && !PURE_MODULES.includes(to)) {
          const words = `imports ${to}: ${layer.why}; take what it gives as an argument`
          violations.push(violation(source.path, line, words))
        }
        continue
      }
      if (!mayImport(layer, to, isType)) {
        violations.push(violation(source.path, line, `imports ${to}: ${layer.why}`))
      }
    }
  }
  return violations
}

export function layerOf(file: string, layers = LAYERS): Layer | undefined {
  return layers
    .filter(({ path }) => (path.endsWith('/') ? file.startsWith(path) : file === path))
    .sort((a, b) => b.path.length - a.path.length)[0]
}

function mayImport(layer: Layer, to: string, isType: boolean): boolean {
  if (!to.startsWith('src/')) return false
  const target = to.slice('src/'.length)
  const own = layer.path.endsWith('/') ? [layer.path] : []
  const granted = [...own, ...layer.may, ...(isType ? (layer.types ?? []) : [])]
  return granted.some((path) =>
    path === '' || path.endsWith('/') ? target.startsWith(path) : target === path,
  )
}

/** One door for each package, and for the `node:` modules that reach out of the process. */
export interface Door {
  readonly package: string
  readonly folders: readonly string[]
  readonly why: string
}

export function checkDoors(sources: readonly Source[], doors: readonly Door[]): Violation[] {
  const violations: Violation[] = []
  for (const source of sources) {
    for (const { to, isLocal, line } of source.imports) {
      if (isLocal) continue
      const door = doors.find((one) => one.package === packageOf(to))
      if (door === undefined) {
        const words = `imports ${to}, which has no door: name the one folder that may, with the reason, in DOORS`
        violations.push(violation(source.path, line, words))
      } else if (!door.folders.some((folder) => source.path.startsWith(`src/${folder}`))) {
        const words = `imports ${to}, whose door is ${door.folders.join(', ')}: ${door.why}`
        violations.push(violation(source.path, line, words))
      }
    }
  }
  return violations
}

/** `typescript` of `typescript/unstable/ast`, `node:fs` of `node:fs/promises`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Each cycle once, as the chain of its files. Erased imports make no cycle at run time and count too. */
export function checkCycles(sources: readonly Source[]): Violation[] {
  const importsByPath = new Map<string, readonly Import[]>(sources.map((one) => [one.path, one.imports]))
  const finished = new Set<string>()
  const cycles: Violation[] = []
  const walk = (path: string, chain: readonly string[]): void => {
    const start = chain.indexOf(path)
    if (start !== -1) {
      const words = `imports itself by way of ${[...chain.slice(start + 1), path].join(' → ')}: move what both need below both`
      cycles.push(violation(path, 1, words))
      return
    }
    if (finished.has(path)) return
    for (const { to, isLocal, isStart } of importsByPath.get(path) ?? []) {
      if (isLocal && !isStart) walk(to, [...chain, path])
    }
    finished.add(path)
  }
  for (const { path } of sources) walk(path, [])
  return cycles
}
