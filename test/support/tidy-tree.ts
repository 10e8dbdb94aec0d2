/**
 * The project's own sources as syntax trees, read by the compiler that builds them, so that a law is
 * checked against what the code means and never against what it looks like in a regular expression.
 * Only door to the compiler's API, which its makers call unstable: the exact version is pinned.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import {
  isCallExpression,
  isExportDeclaration,
  isIdentifier,
  isImportDeclaration,
  isImportTypeNode,
  isLiteralTypeNode,
  isStringLiteral,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast'
import { API } from 'typescript/unstable/sync'

export interface Import {
  /** Path from the project's root for a relative import, else the package: `src/kernel/clock.ts`, `node:net`, `zod`. */
  readonly to: string
  readonly isLocal: boolean
  /** The import is erased: nothing of the other file runs. */
  readonly isType: boolean
  /** Not an import: the file is the entry of a thread started here. */
  readonly isStart: boolean
  readonly line: number
}

export interface Source {
  /** From the project's root, with slashes. */
  readonly path: string
  readonly text: string
  readonly tree: SourceFile
  readonly imports: readonly Import[]
}

/** One broken law: where, what, and what to do instead. */
export type Violation = string

export function violation(path: string, line: number, words: string): Violation {
  return `${path}:${line}: ${words}`
}

/** Every TypeScript file that the tsconfig.json in `root` names, in the order of their paths. */
export function readSources(root: string): Source[] {
  const api = new API({ cwd: root })
  try {
    const project = api.updateSnapshot({ openProject: join(root, 'tsconfig.json') }).getProjects()[0]
    if (project === undefined) throw new Error(`no project at ${root}`)
    const sources: Source[] = []
    for (const name of project.program.getSourceFileNames()) {
      const path = relative(root, name).replaceAll('\\', '/')
      if (path.startsWith('..') || path.includes('node_modules/')) continue
      const tree = project.program.getSourceFile(name)
      if (tree !== undefined) sources.push({ path, text: tree.text, tree, imports: importsOf(path, tree) })
    }
    return sources.sort((a, b) => (a.path < b.path ? -1 : 1))
  } finally {
    api.close()
  }
}

/** Paths of all other files below the folders, for laws about text alone. */
export function listFiles(root: string, folders: readonly string[], endings: readonly string[]): string[] {
  const files: string[] = []
  for (const folder of folders) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true, recursive: true })) {
      if (!entry.isFile() || !endings.some((ending) => entry.name.endsWith(ending))) continue
      files.push(relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    }
  }
  return files.sort()
}

export function readText(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

export function visit(node: Node, look: (node: Node) => void): void {
  look(node)
  node.forEachChild((child) => visit(child, look))
}

/** 1-based. */
export function lineOf(tree: SourceFile, node: Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1
}

/** Every comment of a file with its line: what lies between the tokens. */
export function commentsOf(source: Source): { line: number; text: string }[] {
  const found: { line: number; text: string }[] = []
  const covered = literalSpans(source.tree)
  for (const match of source.text.matchAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g)) {
    if (covered.some(([start, end]) => match.index >= start && match.index < end)) continue
    found.push({ line: source.text.slice(0, match.index).split('\n').length, text: match[0] })
  }
  return found
}

/** Strings, templates and regular expressions may hold what looks like a comment. */
function literalSpans(tree: SourceFile): [number, number][] {
  const kinds = new Set([
    SyntaxKind.StringLiteral,
    SyntaxKind.NoSubstitutionTemplateLiteral,
    SyntaxKind.TemplateHead,
    SyntaxKind.TemplateMiddle,
    SyntaxKind.TemplateTail,
    SyntaxKind.RegularExpressionLiteral,
  ])
  const spans: [number, number][] = []
  visit(tree, (node) => {
    if (kinds.has(node.kind)) spans.push([node.getStart(tree), node.getEnd()])
  })
  return spans
}

function importsOf(path: string, tree: SourceFile): Import[] {
  const imports: Import[] = []
  visit(tree, (node) => {
    const found = specifierOf(node)
    if (found === undefined) return
    const { specifier, isType = false, isStart = false } = found
    const isLocal = isStart || specifier.startsWith('.')
    const to = isLocal ? posix.join(posix.dirname(path), specifier) : specifier
    imports.push({ to, isLocal, isType, isStart, line: lineOf(tree, node) })
  })
  return imports
}

/** `import … from`, `export … from`, `import()`, `typeof import()`, and the entry of a thread. */
function specifierOf(node: Node): { specifier: string; isType?: boolean; isStart?: boolean } | undefined {
  if (isImportDeclaration(node) && isStringLiteral(node.moduleSpecifier)) {
    return {
      specifier: node.moduleSpecifier.text,
      isType: node.importClause?.phaseModifier === SyntaxKind.TypeKeyword,
    }
  }
  if (isExportDeclaration(node) && node.moduleSpecifier && isStringLiteral(node.moduleSpecifier)) {
    return { specifier: node.moduleSpecifier.text, isType: node.isTypeOnly }
  }
  if (isImportTypeNode(node) && isLiteralTypeNode(node.argument) && isStringLiteral(node.argument.literal)) {
    return { specifier: node.argument.literal.text, isType: true }
  }
  if (isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword) {
    const argument = node.arguments[0]
    if (argument && isStringLiteral(argument)) return { specifier: argument.text }
  }
  if (isCallExpression(node) && isIdentifier(node.expression) && node.expression.text === 'entryBeside') {
    const name = node.arguments[1]
    if (name && isStringLiteral(name)) return { specifier: `${name.text}.ts`, isStart: true }
  }
  return undefined
}
