/**
 * 10,000 real handwritten digits (package mnist; a selection of the MNIST database of handwritten
 * digits), made four times smaller: 28 × 28 pixels become 14 × 14 whole numbers from 0 (paper) to 255
 * (ink), each the mean of a 2 × 2 square. Whole numbers keep requests short.
 *
 * The package sorts its digits by class, so they are shuffled (fixed seed) before the last 2,000 are
 * held out.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Samples } from './samples.ts'
import { rowNumbers, SeededChance, shuffle } from './seeded-chance.ts'

export const DIGIT_SIDE = 14
export const DIGIT_PIXELS = DIGIT_SIDE * DIGIT_SIDE
export const DIGIT_CLASSES = 10
export const DIGITS_HELD_OUT = 2000

const SOURCE_SIDE = 28
const SEED = 28

export function readDigits(): Samples {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist')), 'digits')
  const images: { label: number; pixels: Uint8Array }[] = []
  for (let label = 0; label < DIGIT_CLASSES; label += 1) {
    const { data } = JSON.parse(readFileSync(join(folder, `${label}.json`), 'utf8')) as { data: number[] }
    for (let start = 0; start < data.length; start += SOURCE_SIDE * SOURCE_SIDE) {
      images.push({ label, pixels: shrink(data, start) })
    }
  }
  return shuffled(images)
}

function shrink(data: readonly number[], start: number): Uint8Array {
  return Uint8Array.from({ length: DIGIT_PIXELS }, (_, index) => {
    const corner = start + 2 * SOURCE_SIDE * Math.floor(index / DIGIT_SIDE) + 2 * (index % DIGIT_SIDE)
    const above = data[corner]! + data[corner + 1]!
    const below = data[corner + SOURCE_SIDE]! + data[corner + SOURCE_SIDE + 1]!
    return Math.round(((above + below) / 4) * 255)
  })
}

function shuffled(images: readonly { label: number; pixels: Uint8Array }[]): Samples {
  const order = rowNumbers(images.length)
  shuffle(order, new SeededChance(SEED))
  const features = new Float32Array(images.length * DIGIT_PIXELS)
  const labels = new Uint8Array(images.length)
  for (const [row, image] of order.entries()) {
    features.set(images[image]!.pixels, row * DIGIT_PIXELS)
    labels[row] = images[image]!.label
  }
  return { rows: images.length, columns: DIGIT_PIXELS, features, labels }
}
