/**
 * The identity of a configuration: SHA-256 over a canonical form of what it means. Comments, order of
 * keys, spelling of units and written defaults do not change it; anything that changes behaviour does,
 * the contents of reply files included. The same on every machine: "auto" and paths count as written.
 */
import { createHash } from 'node:crypto'
import type { Settled, SettledModel } from './settle.ts'

/** Changes when the form itself does, so that hashes of different forms never meet. */
const FORM = 'modelgate-config/1'

export interface ReplyFile {
  readonly contentType: string
  readonly body: Uint8Array
}

/** `replies` by path as written. */
export function configHash(settled: Settled, replies: ReadonlyMap<string, ReplyFile>): string {
  const models = Object.entries(settled.models).map(
    ([name, model]) => [name, canonicalModel(model, replies)] as const,
  )
  const form = { form: FORM, ...settled, models: Object.fromEntries(models) }
  return sha256(canonicalJson(form))
}

function canonicalModel(model: SettledModel, replies: ReadonlyMap<string, ReplyFile>): unknown {
  const chains = Object.entries(model.on_failure).map(([key, chain]) => {
    const steps = chain.map((step) => {
      if (step.do !== 'reply') return step
      const reply = replies.get(step.file)
      return { ...step, contentType: reply?.contentType, sha256: sha256(reply?.body ?? '') }
    })
    return [key, steps] as const
  })
  const outputs = model.compare.outputs.map((rule) => ({
    ...rule,
    tolerance: rule.tolerance ?? { abs: 0, rel: 0 },
  }))
  return { ...model, on_failure: Object.fromEntries(chains), compare: { ...model.compare, outputs } }
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** JSON with keys in code-unit order and without what is undefined. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const table = value as Readonly<Record<string, unknown>>
  const keys = Object.keys(table).filter((key) => table[key] !== undefined)
  return `{${keys
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(table[key])}`)
    .join(',')}}`
}
