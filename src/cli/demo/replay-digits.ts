/**
 * The held-out digits of models/digits/replay.bin as requests. The images are real; who sends them is
 * made up, because an experiment needs users: 250 of them, one of whom is a beta tenant (a routing rule)
 * and one of whom debugs (a pin).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { oneRow, type ReplaySet } from './replay-set.ts'

const USERS = 250
const BETA_USER = 7
const DEBUGGING_USER = 11

interface Layout {
  readonly file: string
  readonly rows: number
  readonly recordBytes: number
  readonly pixelsAt: number
  readonly pixels: number
  readonly labelAt: number
}

/** `models`: the folder of that name. Throws when the files do not fit each other. */
export function replayDigits(models: string): ReplaySet {
  const folder = join(models, 'digits')
  const layout = readLayout(join(folder, 'replay.json'))
  const bytes = readFileSync(join(folder, layout.file))
  const { rows, recordBytes, pixelsAt, pixels, labelAt } = layout
  if (bytes.length !== rows * recordBytes) {
    throw new Error(`${layout.file} has ${bytes.length} bytes, not ${rows} records of ${recordBytes}`)
  }
  const truth = (row: number): number => bytes[row * recordBytes + labelAt]!
  return {
    model: 'digits',
    noun: 'digits',
    rows,
    question(row) {
      const from = row * recordBytes + pixelsAt
      return {
        model: 'digits',
        path: '/v2/models/digits/infer',
        headers: headersOf(row % USERS),
        body: oneRow('pixels', bytes.subarray(from, from + pixels)),
      }
    },
    truth,
    read(outputs, row) {
      const label = outputs.get('label')?.[0]
      const chanceOfTruth = outputs.get('scores')?.[truth(row)]
      return label === undefined || chanceOfTruth === undefined ? null : { label, chanceOfTruth }
    },
  }
}

function headersOf(user: number): Record<string, string> {
  const headers: Record<string, string> = { 'x-user-id': `user-${user}` }
  if (user === BETA_USER) headers['x-tenant'] = 'beta'
  if (user === DEBUGGING_USER) headers['modelgate-pin'] = 'softmax'
  return headers
}

interface Description {
  readonly file: string
  readonly rows: number
  readonly recordBytes: number
  readonly fields: readonly {
    readonly name: string
    readonly offset: number
    readonly shape: readonly number[]
  }[]
}

function readLayout(file: string): Layout {
  const described = JSON.parse(readFileSync(file, 'utf8')) as Description
  const field = (name: string) => {
    const found = described.fields.find((one) => one.name === name)
    if (found === undefined) throw new Error(`${file}: there is no field ${name}`)
    return found
  }
  const pixels = field('pixels')
  return {
    file: described.file,
    rows: described.rows,
    recordBytes: described.recordBytes,
    pixelsAt: pixels.offset,
    pixels: pixels.shape.reduce((product, size) => product * size, 1),
    labelAt: field('label').offset,
  }
}
