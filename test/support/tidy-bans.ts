/**
 * Calls and words that are banned in src/ outside the places named, each with its reason and what to
 * do instead. Read from syntax trees, so a comment or a string that mentions one is no violation.
 */
import {
  isCallExpression,
  isIdentifier,
  isNewExpression,
  isPropertyAccessExpression,
  type Node,
  SyntaxKind,
} from 'typescript/unstable/ast'
import { LAYERS, layerOf } from './tidy-imports.ts'
import { commentsOf, lineOf, type Source, type Violation, violation, visit } from './tidy-tree.ts'

interface Ban {
  /** A called or read name: `Date.now`, `setTimeout`; one with a leading dot on any object: `.terminate`. */
  readonly names: readonly string[]
  /** Where it may be used, without `src/`. */
  readonly except?: readonly string[]
  /** Where alone the ban holds; everywhere when absent. */
  readonly only?: readonly string[]
  readonly why: string
}

export const BANS: readonly Ban[] = [
  {
    names: ['Date.now', 'new Date()'],
    except: ['kernel/clock.ts'],
    why: 'time is an argument: take a Clock and call wall()',
  },
  {
    names: ['performance.now', 'process.hrtime'],
    except: ['kernel/clock.ts'],
    why: 'time is an argument: take a Clock and call now()',
  },
  {
    names: ['Math.random'],
    except: ['kernel/chance.ts'],
    why: 'chance is an argument: take a Chance and call next()',
  },
  {
    names: ['process.env'],
    except: ['main.ts', 'cli/', 'accept/load-uws.ts'],
    why: 'what configures the gateway is in gateway.toml: read it from the snapshot',
  },
  {
    names: ['process.exit', 'process.abort', 'process.kill'],
    except: ['main.ts', 'cli/'],
    why: 'an exit in the middle loses records: stop through lifecycle.ts',
  },
  {
    names: ['console'],
    except: ['main.ts', 'cli/'],
    why: 'only commands print; a part reports through its events, its counters or its return value',
  },
  {
    names: ['setTimeout', 'setInterval'],
    except: [
      'kernel/sweep.ts',
      'lane.ts',
      'entrance.ts',
      'compose.ts',
      'lifecycle.ts',
      'score/',
      'workers/',
      'audit/',
      'control/',
      'cli/',
    ],
    why: 'a timer per request costs 0.5 µs and hides a life: watch a deadline with kernel/sweep.ts',
  },
  {
    names: ['AbortSignal.timeout', 'AbortSignal.any'],
    except: ['control/', 'cli/'],
    why: 'they cost 3 and 10 µs a request: watch a deadline with kernel/sweep.ts',
  },
  {
    names: ['JSON.parse'],
    // Runs on scoring threads, where the values of the tensors are what is wanted.
    except: ['protocols/open-inference/decode-request.ts'],
    only: ['accept/', 'identify/', 'decide/', 'forward/', 'observe/', 'protocols/', 'pipeline.ts'],
    why: 'it costs 2–3 µs per KiB and builds objects with a caller’s keys: use kernel/json-scan.ts',
  },
  {
    names: ['.terminate'],
    except: ['workers/'],
    why: 'terminating a thread that hosts uWebSockets.js aborts the process: close it and let its loop run empty',
  },
  { names: ['eval', 'Function'], why: 'no text becomes code' },
  { names: ['fetch'], except: ['control/', 'cli/'], why: 'the data plane speaks HTTP through forward/ only' },
]

/** In deterministic folders, these too: they differ between two runs with the same arguments. */
const DETERMINISTIC: Ban = {
  names: [
    'Date',
    'performance',
    'process',
    'console',
    'crypto',
    'setImmediate',
    'queueMicrotask',
    'globalThis',
    'Intl',
  ],
  why: 'a deterministic folder touches no clock, chance, I/O, log or global: take it as an argument',
}

export function checkBans(sources: readonly Source[], bans = BANS): Violation[] {
  const violations: Violation[] = []
  for (const source of sources) {
    const file = source.path.slice('src/'.length)
    const within = (paths: readonly string[]) => paths.some((path) => file.startsWith(path))
    const holding = bans.filter(
      ({ except = [], only }) => !within(except) && (only === undefined || within(only)),
    )
    if (layerOf(file, LAYERS)?.isDeterministic) holding.push(DETERMINISTIC)
    visit(source.tree, (node) => {
      const uses = usesOf(node)
      if (uses.length === 0) return
      for (const { names, why } of holding) {
        const name = uses.find((use) => names.includes(use))
        if (name !== undefined)
          violations.push(violation(source.path, lineOf(source.tree, node), `${name}: ${why}`))
      }
    })
  }
  return [...new Set(violations)]
}

/** The names by which a node uses something: of `a.b` both `a.b` and `.b`, of a free identifier its own. */
function usesOf(node: Node): string[] {
  if (isNewExpression(node) && isIdentifier(node.expression)) {
    const isBare = (node.arguments?.length ?? 0) === 0
    return isBare ? [`new ${node.expression.text}()`] : []
  }
  if (isPropertyAccessExpression(node)) {
    const owner = isIdentifier(node.expression) ? [`${node.expression.text}.${node.name.text}`] : []
    return isCallExpression(node.parent) ? [...owner, `.${node.name.text}`] : owner
  }
  return isIdentifier(node) && isFreeUse(node) ? [node.text] : []
}

/** A value read or called, not a declaration, a type, or the name of somebody's property. */
function isFreeUse(node: Node): boolean {
  const { parent } = node
  if (isPropertyAccessExpression(parent)) return parent.expression === node
  if (isCallExpression(parent) || isNewExpression(parent)) {
    return parent.expression === node || (parent.arguments ?? []).some((argument) => argument === node)
  }
  return false
}

const WORDS: readonly { pattern: RegExp; why: string }[] = [
  {
    pattern: /@ts-(ignore|nocheck|expect-error)/,
    why: 'the compiler is right or the type is wrong: fix the type',
  },
  { pattern: /\b(TODO|FIXME|XXX|HACK)\b/, why: 'unfinished work is an issue, not a comment' },
  {
    pattern: /\b(c8|istanbul|v8) ignore/,
    why: 'a line nobody can reach is deleted; one somebody can is tested',
  },
  {
    pattern: /biome-ignore\s+[\w/]+:\s*(?:\*\/|$|<)/,
    why: 'an exception to a lint rule says why it is right here',
  },
]

/** Comments that switch off a check or leave work behind, and the type that switches off all checks. */
export function checkWords(sources: readonly Source[]): Violation[] {
  const violations: Violation[] = []
  for (const source of sources) {
    for (const { line, text } of commentsOf(source)) {
      for (const { pattern, why } of WORDS) {
        const found = pattern.exec(text)?.[0]
        if (found !== undefined) violations.push(violation(source.path, line, `${found}: ${why}`))
      }
    }
    visit(source.tree, (node) => {
      if (node.kind !== SyntaxKind.AnyKeyword) return
      const words = 'any: it switches the compiler off; say unknown and narrow it'
      violations.push(violation(source.path, lineOf(source.tree, node), words))
    })
  }
  return violations
}

/** Paths of somebody's machine, and registries: they mean nothing to the reader of this repository. */
const ELSEWHERE =
  /(?<![\w.:])\/(?:work|tmp|home\/\w+|root|Users\/\w+)\/|https?:\/\/(?:[\w.-]+\.)?registry\.[\w.-]+/

export function checkPlaces(path: string, text: string): Violation[] {
  return text.split('\n').flatMap((line, index) => {
    const found = ELSEWHERE.exec(line)?.[0]
    if (found === undefined) return []
    return [
      violation(path, index + 1, `${found}: a place of one machine; use node:os tmpdir() or say it in words`),
    ]
  })
}
