/**
 * How a file looks from outside: its name, its size, its header, the size of its functions, and what it
 * exports. The numbers are those of CONTRIBUTING.md.
 */
import { basename, dirname } from 'node:path'
import {
  isArrowFunction,
  isClassDeclaration,
  isConstructorDeclaration,
  isExportAssignment,
  isExportDeclaration,
  isFunctionDeclaration,
  isFunctionExpression,
  isIdentifier,
  isInterfaceDeclaration,
  isMethodDeclaration,
  isParameterDeclaration,
  isTypeAliasDeclaration,
  isVariableDeclaration,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast'
import { lineOf, type Source, type Violation, violation, visit } from './tidy-tree.ts'

export const FILE_LINES_MAX = 400
export const FILE_LINES_USUAL = 250
export const FUNCTION_LINES_MAX = 60
export const PARAMETERS_MAX = 4
export const HEADER_LINES_MAX = 24
const HEADER_CHARACTERS_MIN = 40

/** Folders whose files are registries: a list of what lies beside them. Regular expressions. */
const REGISTRIES = [
  /^src\/decide\/strategies$/,
  /^src\/protocols(\/[\w-]+)?$/,
  /^src\/forward\/balance$/,
  /^src\/workers\/runtimes$/,
  /^src\/cli$/,
]

const DRAWERS = 'base common helper helpers impl manager misc service shared stuff util utils'.split(' ')
const ABBREVIATIONS = new Map([
  ['req', 'request'],
  ['res', 'response'],
  ['cfg', 'config'],
  ['conf', 'config'],
  ['ctx', 'what it is'],
  ['opts', 'options'],
  ['err', 'error'],
  ['cb', 'what it does'],
  ['fn', 'what it does'],
  ['msg', 'message'],
  ['buf', 'bytes'],
])

export function checkFileNames(paths: readonly string[]): Violation[] {
  const violations: Violation[] = []
  for (const path of paths) {
    for (const part of path.split('/')) {
      const name = part.replace(/(\.test)?(\.\w+)?$/, '')
      if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
        violations.push(violation(path, 1, `${part}: names are kebab-case`))
      }
      const drawer = name.split('-').find((word) => DRAWERS.includes(word))
      if (drawer !== undefined) {
        violations.push(
          violation(path, 1, `${drawer}: a drawer, not a name; name the file after its one main export`),
        )
      }
    }
    if (basename(path) === 'index.ts' && !REGISTRIES.some((registry) => registry.test(dirname(path)))) {
      violations.push(violation(path, 1, 'index.ts: only registries have one; import the file that says it'))
    }
  }
  return violations
}

export function checkFileSize(path: string, text: string): Violation[] {
  const lines = linesOf(text)
  if (lines <= FILE_LINES_MAX) return []
  return [
    violation(
      path,
      lines,
      `${lines} lines, at most ${FILE_LINES_MAX}: find the second subject and give it a file`,
    ),
  ]
}

/** Nine of ten files stay below the usual size, so that the largest stay exceptions. */
export function checkUsualSize(sources: readonly Source[]): Violation[] {
  const large = sources.filter(({ text }) => linesOf(text) > FILE_LINES_USUAL)
  if (large.length <= sources.length / 10) return []
  return large.map(({ path, text }) =>
    violation(path, linesOf(text), `more than a tenth of all files is longer than ${FILE_LINES_USUAL} lines`),
  )
}

function linesOf(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

export function checkHeader({ path, text }: Source): Violation[] {
  const header = /^(?:#![^\n]*\n)?\s*(\/\*[\s\S]*?\*\/|(?:\/\/[^\n]*\n)+)/.exec(text)?.[1]
  if (header === undefined || header.length < HEADER_CHARACTERS_MIN) {
    const words =
      'starts without a header comment: say what the file promises, what it must never do, and why'
    return [violation(path, 1, words)]
  }
  const lines = header.trimEnd().split('\n').length
  if (lines <= HEADER_LINES_MAX) return []
  return [
    violation(
      path,
      1,
      `${lines} lines of header, at most ${HEADER_LINES_MAX}: the rest belongs where it holds`,
    ),
  ]
}

export function checkFunctions({ path, tree }: Source): Violation[] {
  const violations: Violation[] = []
  visit(tree, (node) => {
    const shape = functionOf(node)
    if (shape === undefined) return
    const line = lineOf(tree, node)
    const lines = tree.getLineAndCharacterOfPosition(node.getEnd()).line + 2 - line
    if (lines > FUNCTION_LINES_MAX) {
      const words = `a function of ${lines} lines, at most ${FUNCTION_LINES_MAX}: name its parts`
      violations.push(violation(path, line, words))
    }
    if (shape.parameters.length > PARAMETERS_MAX) {
      const words = `${shape.parameters.length} parameters, at most ${PARAMETERS_MAX}: take one object with names`
      violations.push(violation(path, line, words))
    }
  })
  return violations
}

function functionOf(node: Node): { parameters: readonly Node[] } | undefined {
  const isFunction =
    isFunctionDeclaration(node) ||
    isFunctionExpression(node) ||
    isArrowFunction(node) ||
    isMethodDeclaration(node) ||
    isConstructorDeclaration(node)
  return isFunction && node.body !== undefined ? node : undefined
}

/** Named exports only; what another file says is imported from that file, except by a registry. */
export function checkExports({ path, tree }: Source): Violation[] {
  const violations: Violation[] = []
  for (const statement of tree.statements) {
    const line = lineOf(tree, statement)
    const words = statement.getText(tree).slice(0, 200)
    if (isExportAssignment(statement) || /^export\s+default\b/.test(words)) {
      violations.push(violation(path, line, 'a default export: name it, so that everybody calls it the same'))
    }
    if (isExportDeclaration(statement) && statement.moduleSpecifier && basename(path) !== 'index.ts') {
      violations.push(violation(path, line, 'passes on what another file exports: import it from there'))
    }
  }
  return violations
}

export function checkNames({ path, tree }: Source): Violation[] {
  const violations: Violation[] = []
  visit(tree, (node) => {
    const name = declaredName(node)
    if (name === undefined) return
    const line = lineOf(tree, node)
    const full = ABBREVIATIONS.get(name)
    if (full !== undefined) violations.push(violation(path, line, `${name}: not abbreviated; say ${full}`))
    if (!isTypeLike(node)) return
    if (/^I[A-Z][a-z]/.test(name)) violations.push(violation(path, line, `${name}: no prefix for interfaces`))
    const last = /[A-Z][a-z]+$/.exec(name)?.[0].toLowerCase() ?? ''
    if (isExported(node, tree) && DRAWERS.includes(last)) {
      violations.push(violation(path, line, `${name}: ${last} says nothing; say what it is or does`))
    }
  })
  return violations
}

function declaredName(node: Node): string | undefined {
  const declares =
    isParameterDeclaration(node) ||
    isVariableDeclaration(node) ||
    isFunctionDeclaration(node) ||
    isTypeLike(node)
  if (!declares || node.name === undefined || !isIdentifier(node.name)) return undefined
  return node.name.text
}

function isTypeLike(node: Node) {
  return isInterfaceDeclaration(node) || isTypeAliasDeclaration(node) || isClassDeclaration(node)
}

function isExported(node: Node, tree: SourceFile): boolean {
  return /^export\b/.test(node.getText(tree))
}

/** Every string in the sources, for laws of the form "each of these words is used somewhere". */
export function stringsOf(sources: readonly Source[]): Set<string> {
  const strings = new Set<string>()
  for (const { tree } of sources) {
    visit(tree, (node) => {
      if (node.kind === SyntaxKind.StringLiteral || node.kind === SyntaxKind.NoSubstitutionTemplateLiteral) {
        strings.add((node as Node & { text: string }).text)
      }
    })
  }
  return strings
}
