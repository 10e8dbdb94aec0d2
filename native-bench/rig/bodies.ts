/** Bodies that are more than numbers, as files that the generator reads: `{{BODIES}}/NAME` in the words of a run. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './rig.ts'

const WORD = 'lorem ipsum dolor '
const TEXT_BYTES = 700

export const ROWS = 64

interface Infer {
  readonly inputs: readonly [
    { readonly name: string; readonly shape: readonly number[]; readonly data: readonly number[] },
  ]
}

export function writeBodies(directory: string): void {
  const write = (name: string, value: object): void =>
    writeFileSync(join(directory, name), JSON.stringify(value))
  const content = WORD.repeat(Math.ceil(TEXT_BYTES / WORD.length))
  const messages = [{ role: 'user', content }]
  write('chat.json', { model: 'chat', messages })
  write('chat-stream.json', { model: 'chat', messages, stream: true })
  write('completion.json', {
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'chat',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 100, completion_tokens: 100, total_tokens: 200 },
  })
  write('digit.json', digits(1))
  write('digits.json', digits(ROWS))
  writeFileSync(join(directory, 'digits.bin'), binaryDigits(ROWS).bytes)
}

/** The example of a digit, so many times in one tensor. */
export function digits(rows: number): Infer {
  const one = JSON.parse(readFileSync(join(ROOT, 'models/digits/example.json'), 'utf8')) as Infer
  const [input] = one.inputs
  const data = Array.from({ length: rows }, () => input.data).flat()
  return { ...one, inputs: [{ ...input, shape: [rows, ...input.shape.slice(1)], data }] }
}

/** The same by the binary extension, the answer too: its bytes, and how many of them are JSON. */
export function binaryDigits(rows: number): { readonly bytes: Buffer; readonly jsonLength: number } {
  const [{ name, shape, data }] = digits(rows).inputs
  const tensor = Buffer.from(Float32Array.from(data).buffer)
  const parameters = { binary_data_size: tensor.length }
  const inputs = [{ name, datatype: 'FP32', shape, parameters }]
  const json = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }))
  return { bytes: Buffer.concat([json, tensor]), jsonLength: json.length }
}
