/**
 * The held-out rows as small files, from which the demo builds its requests. They hold the true answer
 * beside the features, so whoever replays them can also report how often each version was right.
 *
 * flights/replay.csv   a header line, then one flight a line; no cell is quoted or holds a comma
 * digits/replay.bin    records of one size, described by digits/replay.json
 */
import { DIGIT_PIXELS, DIGIT_SIDE } from './digits-data.ts'
import { FLIGHT_FEATURES, type Flight } from './flights-data.ts'
import type { Samples } from './samples.ts'

export interface ReplayFile {
  /** Below models/. */
  readonly path: string
  readonly bytes: Uint8Array
}

export function flightReplay(flights: readonly Flight[]): readonly ReplayFile[] {
  const header = ['id', 'origin', 'destination', 'state', ...FLIGHT_FEATURES, 'delay_minutes', 'late']
  const lines = flights.map((flight) =>
    [
      flight.id,
      flight.origin,
      flight.destination,
      flight.state,
      ...flight.features,
      flight.delayMinutes,
      flight.isLate ? 1 : 0,
    ].join(','),
  )
  return [{ path: 'flights/replay.csv', bytes: Buffer.from(`${[header.join(','), ...lines].join('\n')}\n`) }]
}

export function digitReplay({ rows, features, labels }: Samples): readonly ReplayFile[] {
  const recordBytes = DIGIT_PIXELS + 1
  const records = new Uint8Array(rows * recordBytes)
  for (let row = 0; row < rows; row += 1) {
    records.set(features.subarray(row * DIGIT_PIXELS, (row + 1) * DIGIT_PIXELS), row * recordBytes)
    records[row * recordBytes + DIGIT_PIXELS] = labels[row]!
  }
  const layout = {
    file: 'replay.bin',
    rows,
    recordBytes,
    fields: [
      { name: 'pixels', type: 'uint8', offset: 0, shape: [DIGIT_SIDE, DIGIT_SIDE] },
      { name: 'label', type: 'uint8', offset: DIGIT_PIXELS, shape: [] },
    ],
    source: 'package mnist 1.1.0 (MIT), held out from training; see ../README.md',
  }
  return [
    { path: 'digits/replay.bin', bytes: records },
    { path: 'digits/replay.json', bytes: Buffer.from(`${JSON.stringify(layout, null, 2)}\n`) },
  ]
}
