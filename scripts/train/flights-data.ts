/**
 * 20,000 real flights of January to March 2001, as the airlines had to report them to the US Bureau of
 * Transportation Statistics (package vega-datasets, data/flights-20k.json), and where airports lie
 * (data/airports.csv).
 *
 * What is asked: will this flight arrive more than 15 minutes late? Asked when: as it leaves the gate.
 * The published time is that of the actual departure, so it is known then and no earlier; a model that
 * claimed to answer at booking time could not honestly use it. The arrival delay is the answer and is
 * never a feature; the departure delay is not in the data.
 *
 * Split by time: the last 4,000 flights (from mid March) are held out, so every one of them is later
 * than all that was learned from, as it is for a model in service.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Samples } from './samples.ts'

export const FLIGHT_FEATURES = [
  'hour',
  'weekday',
  'distance',
  'origin_latitude',
  'origin_longitude',
  'destination_latitude',
  'destination_longitude',
] as const

export const FLIGHTS_HELD_OUT = 4000
/** The bureau's own definition of a flight that is not on time. */
const LATE_AFTER_MINUTES = 15

export interface Flight {
  /** `2001-03-15T06:55/LAX-BNA`: unique and stable. */
  readonly id: string
  readonly departed: string
  readonly origin: string
  readonly destination: string
  /** Of the origin, as the post office writes it. */
  readonly state: string
  /** In the order of FLIGHT_FEATURES. */
  readonly features: readonly number[]
  readonly delayMinutes: number
  readonly isLate: boolean
}

interface Airport {
  readonly state: string
  readonly latitude: number
  readonly longitude: number
}

/** In order of departure. */
export function readFlights(): readonly Flight[] {
  const folder = join(dirname(createRequire(import.meta.url).resolve('vega-datasets')), '../data')
  const airports = readAirports(readFileSync(join(folder, 'airports.csv'), 'utf8'))
  const rows = JSON.parse(readFileSync(join(folder, 'flights-20k.json'), 'utf8')) as readonly Row[]
  return withoutTwins(rows.map((row) => flightOf(row, airports)))
}

interface Row {
  readonly date: string
  readonly delay: number
  readonly distance: number
  readonly origin: string
  readonly destination: string
}

function flightOf(row: Row, airports: ReadonlyMap<string, Airport>): Flight {
  const origin = airportOf(row.origin, airports)
  const destination = airportOf(row.destination, airports)
  const departed = `${row.date.slice(0, 10).replaceAll('/', '-')}T${row.date.slice(11)}`
  const values = [
    hourOf(departed),
    weekdayOf(departed),
    row.distance,
    origin.latitude,
    origin.longitude,
    destination.latitude,
    destination.longitude,
  ]
  return {
    id: `${departed}/${row.origin}-${row.destination}`,
    departed,
    origin: row.origin,
    destination: row.destination,
    state: origin.state,
    features: values.map((value) => Number(value.toFixed(3))),
    delayMinutes: row.delay,
    isLate: row.delay > LATE_AFTER_MINUTES,
  }
}

/** Local hours since 04:00, when an airline's day begins: 23:30 is 19.5 and 00:30 is 20.5, not 0.5. */
function hourOf(departed: string): number {
  const hour = Number(departed.slice(11, 13)) + Number(departed.slice(14, 16)) / 60
  return (hour + 20) % 24
}

/** 1 Monday … 7 Sunday (ISO 8601). */
function weekdayOf(departed: string): number {
  return new Date(`${departed}Z`).getUTCDay() || 7
}

/** A sample holds a handful of flights of the same minute and route: the later ones get a number. */
function withoutTwins(flights: readonly Flight[]): Flight[] {
  const seen = new Map<string, number>()
  return flights.map((flight) => {
    const count = (seen.get(flight.id) ?? 0) + 1
    seen.set(flight.id, count)
    return count === 1 ? flight : { ...flight, id: `${flight.id}/${count}` }
  })
}

function airportOf(code: string, airports: ReadonlyMap<string, Airport>): Airport {
  const airport = airports.get(code)
  if (airport === undefined) throw new Error(`airports.csv does not know ${code}`)
  return airport
}

const CELL = /"((?:[^"]|"")*)"|[^,]+|(?<=,|^)(?=,|$)/g

function readAirports(csv: string): ReadonlyMap<string, Airport> {
  const airports = new Map<string, Airport>()
  for (const line of csv.trim().split(/\r?\n/).slice(1)) {
    const cells = [...line.matchAll(CELL)].map(([text, quoted]) => quoted ?? text)
    const [code = '', , , state = '', , latitude, longitude] = cells
    airports.set(code, { state, latitude: Number(latitude), longitude: Number(longitude) })
  }
  return airports
}

export function flightSamples(flights: readonly Flight[]): Samples {
  return {
    rows: flights.length,
    columns: FLIGHT_FEATURES.length,
    features: Float32Array.from(flights.flatMap(({ features }) => features)),
    labels: Uint8Array.from(flights, ({ isLate }) => (isLate ? 1 : 0)),
  }
}
