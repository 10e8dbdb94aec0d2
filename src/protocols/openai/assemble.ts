/**
 * A streamed answer as the plain one that its events make: texts and tool arguments joined for each choice, the last
 * finish reason, the usage. So a check or a comparison that is written for plain answers reads streams, too.
 *
 * Joins what is written, escapes and all, and never decodes a text: the pieces of one JSON string make a JSON string.
 * Whatever the events say, the result is no longer than they are, but for a few words for each choice.
 */
import { Buffer } from 'node:buffer'
import { type JsonPath, type JsonSpan, scanJson, textOf } from '../../kernel/json-scan.ts'
import { dataOf } from '../event-data.ts'
import { EventFramer } from '../event-framer.ts'
import { fieldsOf, itemsOf } from '../walk-json.ts'
import { isDone } from './read-event.ts'

/** An answer with more choices, or a choice with more tool calls, is not read beyond them. */
const PLACES_MAX = 128
const TOP: readonly JsonPath[] = [['choices'], ['usage'], ['id'], ['model'], ['created'], ['object']]

interface Field {
  readonly key: JsonSpan
  readonly value: JsonSpan
}

/** Null when there is no event in it that says anything. */
export function assemble(stream: Uint8Array): Uint8Array | null {
  const whole = new Assembly()
  let isFirst = true
  let isOver = false
  const framer = new EventFramer({
    event: (bytes) => {
      const data = dataOf(bytes, isFirst)
      isFirst = false
      if (data === null || isOver) return
      isOver = isDone(data.bytes)
      if (!isOver) whole.add(data.bytes)
    },
    unseen: () => {},
  })
  framer.push(stream)
  return whole.document()
}

/** A JSON object under way: keys as they are written to what is written, joined where it is text. */
class Parts {
  readonly #texts = new Map<string, string>()
  readonly #others = new Map<string, string>()

  /** Text that goes on from piece to piece. */
  join(json: Uint8Array, { key, value }: Field): void {
    if (value.kind !== 'string') return this.set(json, { key, value })
    const name = written(json, key)
    this.#texts.set(name, (this.#texts.get(name) ?? '') + written(json, value).slice(1, -1))
  }

  /** A value of which the last one counts. */
  set(json: Uint8Array, { key, value }: Field): void {
    if (value.kind !== 'null') this.#others.set(written(json, key), written(json, value))
  }

  get isEmpty(): boolean {
    return this.#texts.size + this.#others.size === 0
  }

  entries(): string[] {
    const texts = [...this.#texts].map(([key, text]) => `${key}:"${text}"`)
    const others = [...this.#others].filter(([key]) => !this.#texts.has(key))
    return [...others.map(([key, value]) => `${key}:${value}`), ...texts]
  }
}

class Call {
  readonly own = new Parts()
  readonly called = new Parts()

  /** `function` of a tool call, or a call of the kind before there were tools. */
  addCalled(json: Uint8Array, object: JsonSpan): void {
    for (const field of fieldsOf(json, object)) {
      if (textOf(json, field.key) === 'arguments') this.called.join(json, field)
      else this.called.set(json, field)
    }
  }

  text(index: number): string {
    return `{${[`"index":${index}`, ...this.own.entries(), `"function":{${this.called.entries()}}`]}}`
  }
}

class Choice {
  readonly own = new Parts()
  readonly message = new Parts()
  readonly calls = new Map<number, Call>()
  readonly call = new Call()
  isChat = false

  addDelta(json: Uint8Array, delta: JsonSpan): void {
    this.isChat = true
    for (const field of fieldsOf(json, delta)) {
      const { value } = field
      const name = textOf(json, field.key)
      if (name === 'role') this.message.set(json, field)
      else if (name === 'function_call' && value.kind === 'object') this.call.addCalled(json, value)
      else if (name !== 'tool_calls') this.message.join(json, field)
      else if (value.kind === 'array') for (const item of itemsOf(json, value)) this.#addCall(json, item)
    }
  }

  text(index: number): string {
    const calls = inOrder(this.calls).map(([place, call]) => call.text(place))
    const { called } = this.call
    const message = [
      ...this.message.entries(),
      ...(called.isEmpty ? [] : [`"function_call":{${called.entries()}}`]),
      ...(calls.length === 0 ? [] : [`"tool_calls":[${calls}]`]),
    ]
    const parts = [
      `"index":${index}`,
      ...(this.isChat ? [`"message":{${message}}`] : []),
      ...this.own.entries(),
    ]
    return `{${parts}}`
  }

  #addCall(json: Uint8Array, item: JsonSpan): void {
    if (item.kind !== 'object') return
    const call = placed(this.calls, indexIn(json, item), () => new Call())
    if (call === null) return
    for (const field of fieldsOf(json, item)) {
      const name = textOf(json, field.key)
      if (name === 'id' || name === 'type') call.own.set(json, field)
      else if (name === 'function' && field.value.kind === 'object') call.addCalled(json, field.value)
    }
  }
}

class Assembly {
  readonly #top = new Map<string, string>()
  readonly #choices = new Map<number, Choice>()
  #isEmpty = true

  add(json: Uint8Array): void {
    const scan = scanJson(json, TOP)
    if (!scan.ok) return
    this.#isEmpty = false
    scan.found.forEach((span, index) => {
      if (span === null || span.kind === 'null') return
      if (index > 0) this.#top.set(TOP[index]![0]!, written(json, span))
      else if (span.kind === 'array') for (const item of itemsOf(json, span)) this.#addChoice(json, item)
    })
  }

  document(): Uint8Array | null {
    if (this.#isEmpty) return null
    const choices = inOrder(this.#choices)
    if (choices.some(([, { isChat }]) => isChat)) this.#top.set('object', '"chat.completion"')
    const top = [...this.#top].map(([name, value]) => `"${name}":${value}`)
    const texts = choices.map(([index, choice]) => choice.text(index))
    return Buffer.from(`{${[...top, `"choices":[${texts}]`]}}`, 'latin1')
  }

  #addChoice(json: Uint8Array, item: JsonSpan): void {
    if (item.kind !== 'object') return
    const choice = placed(this.#choices, indexIn(json, item), () => new Choice())
    if (choice === null) return
    for (const field of fieldsOf(json, item)) {
      const name = textOf(json, field.key)
      if (name === 'delta' && field.value.kind === 'object') choice.addDelta(json, field.value)
      else if (name === 'text') choice.own.join(json, field)
      else if (name === 'finish_reason') choice.own.set(json, field)
    }
  }
}

/** `index` of a choice or a call; 0 where it is not told. */
function indexIn(json: Uint8Array, item: JsonSpan): number {
  for (const { key, value } of fieldsOf(json, item)) {
    if (textOf(json, key) === 'index') return value.kind === 'number' ? Number(written(json, value)) : 0
  }
  return 0
}

function placed<T>(places: Map<number, T>, index: number, make: () => T): T | null {
  const known = places.get(index)
  if (known !== undefined) return known
  if (!Number.isInteger(index) || index < 0 || index >= PLACES_MAX) return null
  const made = make()
  places.set(index, made)
  return made
}

function inOrder<T>(places: ReadonlyMap<number, T>): [number, T][] {
  return [...places].sort(([left], [right]) => left - right)
}

/** Byte for byte: one character for each, so that nothing is lost between here and `document`. */
function written(json: Uint8Array, span: JsonSpan): string {
  return Buffer.from(json.buffer, json.byteOffset + span.start, span.end - span.start).toString('latin1')
}
