/**
 * The held-out flights of models/flights/replay.csv as requests: one row each, in order of departure, with
 * the route as sticky key. Every twenty-fifth says that it comes from operations, for the routing rule.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { oneRow, type ReplaySet } from './replay-set.ts'

const FEATURES = [
  'hour',
  'weekday',
  'distance',
  'origin_latitude',
  'origin_longitude',
  'destination_latitude',
  'destination_longitude',
]
const OPERATIONS_EVERY = 25

interface Flight {
  readonly route: string
  readonly features: readonly number[]
  readonly late: number
}

/** `models`: the folder of that name. Throws with file and line when the file is not what it should be. */
export function replayFlights(models: string): ReplaySet {
  const file = join(models, 'flights', 'replay.csv')
  const flights = parseFlights(readFileSync(file, 'utf8'), file)
  const flight = (row: number): Flight => flights[row]!
  return {
    model: 'flights',
    noun: 'flights',
    rows: flights.length,
    question(row) {
      const { route, features } = flight(row)
      const channel = row % OPERATIONS_EVERY === OPERATIONS_EVERY - 1 ? { 'x-channel': 'operations' } : {}
      return {
        model: 'flights',
        path: '/v2/models/flights/infer',
        headers: { 'x-route': route, ...channel },
        body: oneRow('features', features),
      }
    },
    truth: (row) => flight(row).late,
    read(outputs, row) {
      const label = outputs.get('label')?.[0]
      const probability = outputs.get('probability')?.[0]
      if (label === undefined || probability === undefined) return null
      return { label, chanceOfTruth: flight(row).late === 1 ? probability : 1 - probability }
    },
  }
}

function parseFlights(text: string, file: string): readonly Flight[] {
  const [header = '', ...lines] = text.trimEnd().split('\n')
  const columns = header.split(',')
  const at = (name: string): number => {
    const index = columns.indexOf(name)
    if (index === -1) throw new Error(`${file}:1: there is no column ${name}`)
    return index
  }
  const [origin, destination, late, ...features] = ['origin', 'destination', 'late', ...FEATURES].map(at)
  return lines.map((line, index) => {
    const cells = line.split(',')
    const numberAt = (column: number): number => {
      const value = Number(cells[column] || Number.NaN)
      if (!Number.isFinite(value)) throw new Error(`${file}:${index + 2}: ${columns[column]} is not a number`)
      return value
    }
    return {
      route: `${cells[origin!]}-${cells[destination!]}`,
      features: features.map(numberAt),
      late: numberAt(late!),
    }
  })
}
