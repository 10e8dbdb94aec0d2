/**
 * What an operations desk would write on a card: a flight is late because the day is late. Delays pile
 * up from the first departure on, Fridays are full and Saturdays are not, and long legs fare worse.
 * Hand-written, needs no library and no file: the last resort when every trained version is out.
 *
 * Same input and outputs as the trained versions. The numbers are rounded shares of late flights among
 * the training rows, so they mean the same as the other versions' probabilities.
 */
export const metadata = {
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 7] }],
  outputs: [
    { name: 'probability', datatype: 'FP32', shape: [-1, 1] },
    { name: 'label', datatype: 'INT64', shape: [-1] },
  ],
}

/** Rows of several requests may come in one call. */
export const batchable = true

const COLUMNS = 7
const LATE_THRESHOLD = 0.3

/** Hours since 04:00 local until which a part of the day lasts, and the share of late flights in it. */
const PARTS_OF_DAY = [
  { untilHour: 4, late: 0.1 },
  { untilHour: 8, late: 0.18 },
  { untilHour: 14, late: 0.23 },
  { untilHour: 17, late: 0.29 },
  { untilHour: 24, late: 0.36 },
]
/** What to add on ISO weekdays. */
const FRIDAY = { weekday: 5, late: 0.04 }
const SATURDAY = { weekday: 6, late: -0.04 }
const LONG_LEG = { fromMiles: 1000, late: 0.02 }

function chanceOf(hour, weekday, miles) {
  const part = PARTS_OF_DAY.find(({ untilHour }) => hour < untilHour) ?? PARTS_OF_DAY.at(-1)
  const day = [FRIDAY, SATURDAY].find((special) => special.weekday === weekday)
  const leg = miles >= LONG_LEG.fromMiles ? LONG_LEG.late : 0
  return part.late + (day?.late ?? 0) + leg
}

export function score(inputs) {
  const { data } = inputs.features
  const rows = data.length / COLUMNS
  const probability = new Float32Array(rows)
  const label = new BigInt64Array(rows)
  for (let row = 0; row < rows; row += 1) {
    const at = row * COLUMNS
    probability[row] = chanceOf(data[at], data[at + 1], data[at + 2])
    label[row] = probability[row] >= LATE_THRESHOLD ? 1n : 0n
  }
  return {
    probability: { datatype: 'FP32', shape: [rows, 1], data: probability },
    label: { datatype: 'INT64', shape: [rows], data: label },
  }
}
