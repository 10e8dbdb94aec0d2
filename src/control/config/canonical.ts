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

/** `replies` and `pems` by path as written. */
export function configHash(
  settled: Settled,
  replies: ReadonlyMap<string, ReplyFile>,
  pems: ReadonlyMap<string, string>,
): string {
  const models = Object.entries(settled.models).map(
    ([name, model]) => [name, canonicalModel(model, replies, pems)] as const,
  )
  const form = { form: FORM, ...settled, models: Object.fromEntries(models) }
  return sha256(canonicalJson(form))
}

function canonicalModel(
  model: SettledModel,
  replies: ReadonlyMap<string, ReplyFile>,
  pems: ReadonlyMap<string, string>,
): unknown {
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
  return {
    ...model,
    on_failure: Object.fromEntries(chains),
    compare: { ...model.compare, outputs },
    versions: canonicalVersions(model, pems),
  }
}

/** What the files of `tls` say, beside their names. */
function canonicalVersions(model: SettledModel, pems: ReadonlyMap<string, string>): unknown {
  const digest = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : sha256(pems.get(file) ?? '')
  const versions = Object.entries(model.versions).map(([name, version]) => {
    const { tls } = version
    if (tls === undefined) return [name, version] as const
    const files = { ca: digest(tls.ca), cert: digest(tls.cert), key: digest(tls.key) }
    return [name, { ...version, tls: { ...tls, sha256: files } }] as const
  })
  return Object.fromEntries(versions)
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** JSON with keys in code-unit order and without what is undefined. `quoted`: keys quoted so far. */
export function canonicalJson(value: unknown, quoted: Map<string, string> = new Map()): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  let text = ''
  if (Array.isArray(value)) {
    for (const inner of value) text += `${text === '' ? '' : ','}${canonicalJson(inner, quoted)}`
    return `[${text}]`
  }
  const table = value as Readonly<Record<string, unknown>>
  for (const key of Object.keys(table).sort()) {
    const inner = table[key]
    if (inner === undefined) continue
    text += `${text === '' ? '' : ','}${quotedKey(key, quoted)}:${canonicalJson(inner, quoted)}`
  }
  return `{${text}}`
}

/** The same hundred keys come once for each model; quoting them anew would be a third of the time. */
function quotedKey(key: string, quoted: Map<string, string>): string {
  let text = quoted.get(key)
  if (text === undefined) {
    text = JSON.stringify(key)
    quoted.set(key, text)
  }
  return text
}
